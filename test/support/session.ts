// One test's world: a workspace in a temporary directory, programs built in it as a project's own build would, and
// the processes started from it. When the test ends the processes are stopped and the directory is removed. The
// control directory of the runtime lies in the workspace too, so that tests that run side by side never meet.
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PatchResult } from '../../extension/engine/model/result';
import { check, exitStatus, hotPatch, patch, revert, runtimeEnvironment, status } from './hot_patch';
import { samples } from './paths';
import { Program } from './program';
import { removeTemporaryDirectory, temporaryDirectory } from './temporary';

const execute = promisify(execFile);

export interface Build {
  /** Relative to the workspace. A `.c` source is compiled with gcc, all others with g++, unless `compiler` says. */
  sources: string[];
  output?: string;
  flags?: string[];
  linkFlags?: string[];
  compiler?: string;
}

export interface CompileCommand {
  directory: string;
  file: string;
  arguments?: string[];
  command?: string;
  output?: string;
}

export class Session {
  readonly directory = temporaryDirectory();
  private readonly programs: Program[] = [];

  constructor() {
    mkdirSync(join(this.directory, 'run'), { mode: 0o700 });
    mkdirSync(join(this.directory, 'tmp'));
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Writes a file of the workspace as an editor saves it: whole, by rename. */
  write(name: string, text: string | Buffer): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}~`, text);
    renameSync(`${path}~`, path);
    return path;
  }

  /** Copies a sample program (test/samples/NAME) or some of its files into the workspace. */
  copySample(name: string): void {
    cpSync(join(samples, name), this.directory, { recursive: true });
  }

  /** Replaces text that must be there, and saves. Returns the text as it was, for `write`. */
  edit(name: string, from: string | RegExp, to: string): string {
    const before = this.read(name);
    const after = before.replace(from, () => to);
    assert.notEqual(after, before, `${name} has no ${String(from)} to edit`);
    this.write(name, after);
    return before;
  }

  async run(command: string, args: string[], directory = this.directory): Promise<string> {
    try {
      const { stdout } = await execute(command, args, { cwd: directory, maxBuffer: 1 << 26 });
      return stdout;
    } catch (error) {
      const { stderr, stdout } = error as { stderr: string; stdout: string };
      throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error });
    }
  }

  writeDatabase(commands: CompileCommand[], directory = '.'): void {
    this.write(join(directory, 'compile_commands.json'), `${JSON.stringify(commands, null, 2)}\n`);
  }

  /** Compiles each source, links them, and writes compile_commands.json with what it ran. */
  async build({ sources, output = 'program', flags = [], linkFlags = [], compiler }: Build): Promise<string> {
    const compilerOf = (source: string) => compiler ?? (source.endsWith('.c') ? 'gcc' : 'g++');
    const commands = sources.map((source) => {
      const object = `${basename(source)}.o`;
      const args = [compilerOf(source), ...flags, '-c', source, '-o', object];
      return { directory: this.directory, file: source, arguments: args, output: object };
    });
    for (const {
      arguments: [command, ...args],
    } of commands)
      await this.run(command!, args);
    const linker = sources.every((source) => source.endsWith('.c')) ? compilerOf('.c') : compilerOf('.cc');
    const objects = commands.map((command) => command.output);
    const linkModes = flags.filter((flag) => /^-(pie|no-pie|shared|pthread|m\d+)$/.test(flag));
    await this.run(linker, [...linkModes, ...objects, '-o', output, ...linkFlags]);
    this.writeDatabase(commands);
    return this.path(output);
  }

  /** Builds a shared library, and a program that is linked with it; compile_commands.json has both. */
  async buildWithLibrary(library: Build, program: Build): Promise<void> {
    const ofLibrary = [...(library.flags ?? []), '-fPIC', '-shared'];
    await this.build({ ...library, output: 'library.so', flags: ofLibrary });
    const commands = JSON.parse(this.read('compile_commands.json')) as CompileCommand[];
    const linkFlags = ['./library.so', `-Wl,-rpath,${this.directory}`, ...(program.linkFlags ?? [])];
    await this.build({ ...program, linkFlags });
    this.writeDatabase([
      ...commands,
      ...(JSON.parse(this.read('compile_commands.json')) as CompileCommand[]),
    ]);
  }

  /** Environment of the command line and of programs: this session's control, cache and temporary directories. */
  get environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      XDG_RUNTIME_DIR: this.path('run'),
      XDG_CACHE_HOME: this.path('cache'),
      TMPDIR: this.path('tmp'),
      LANG: 'C.UTF-8',
    };
  }

  get options() {
    return { cwd: this.directory, env: this.environment };
  }

  /** Starts a program of the workspace with the runtime preloaded and waits for its first line. */
  async start(program = 'program', args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Program> {
    return this.launch(program, args, { ...runtimeEnvironment(), ...env });
  }

  /** The same without the runtime. */
  async startPlain(program = 'program', args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Program> {
    return this.launch(program, args, env);
  }

  private async launch(program: string, args: string[], env: NodeJS.ProcessEnv): Promise<Program> {
    const options = { cwd: this.directory, env: { ...this.environment, ...env } };
    const started = await Program.start(this.path(program), args, options);
    this.programs.push(started);
    await started.line();
    return started;
  }

  /** Starts any program; it is stopped with the session. */
  async startCommand(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Program> {
    const started = await Program.start(command, args, {
      cwd: this.directory,
      env: { ...this.environment, ...env },
    });
    this.programs.push(started);
    return started;
  }

  hotPatch(...args: string[]) {
    return hotPatch(args, this.options);
  }

  /** `hot-patch patch … --json`; the exit status must be 0 and the outcome the expected one. */
  async patch(args: string | string[], outcome: PatchResult['outcome'] = 'patched'): Promise<PatchResult> {
    const result = await patch([args].flat(), this.options);
    assert.equal(result.outcome, outcome, JSON.stringify(result, null, 2));
    return result;
  }

  /** A patch that must be refused (exit status 2) for this reason. */
  async refused(args: string | string[], code: string): Promise<PatchResult> {
    const result = await patch([args].flat(), this.options, exitStatus.refused);
    assert.equal(result.outcome, 'refused', JSON.stringify(result, null, 2));
    const codes = result.refusals.map((refusal) => refusal.code as string);
    assert.ok(
      codes.includes(code),
      `refused for ${codes.join(', ')} instead of ${code}: ${JSON.stringify(result, null, 2)}`,
    );
    return result;
  }

  revert(...args: string[]) {
    return revert(args, this.options);
  }

  check(...args: string[]) {
    return check(args, this.options);
  }

  status(...args: string[]) {
    return status(args, this.options);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.stop()));
    removeTemporaryDirectory(this.directory);
  }
}

/** Wraps the body of a test: its session lives as long as the test does. */
export function inSession(test: (session: Session) => Promise<void>): () => Promise<void> {
  return async () => {
    const session = new Session();
    try {
      await test(session);
    } finally {
      await session.dispose();
    }
  };
}

/** One session for all tests of a `describe`, prepared once (for programs that are built once). */
export function useSession(prepare: (session: Session) => Promise<void>): { readonly session: Session } {
  let current: Session | undefined;
  before(async () => {
    current = new Session();
    await prepare(current);
  });
  after(() => current?.dispose());
  return {
    get session() {
      return current!;
    },
  };
}

/** The usual small test: one unit with `long value(long)`, driven by test/samples/driver. */
export class Unit {
  private constructor(
    readonly session: Session,
    readonly file: string,
    readonly program: Program,
  ) {}

  /** Writes the unit, builds it with the driver (-O2 -g unless `flags` say otherwise) and starts it. */
  static async start(session: Session, source: string, options: UnitOptions = {}): Promise<Unit> {
    const { language = 'cc', flags = ['-O2', '-g'], sources = [], linkFlags = [], compiler } = options;
    const file = `unit.${language}`;
    const main = `main.${language}`;
    session.write(file, source);
    session.write(main, readFileSync(join(samples, 'driver', main), 'utf8'));
    await session.build({ sources: [main, file, ...sources], flags, linkFlags, compiler });
    return new Unit(session, file, await session.start());
  }

  /** value(n), as the running program computes it now. */
  async value(n: number): Promise<number> {
    return Number(await this.program.ask(String(n)));
  }

  /** Edits the unit and patches; the outcome must be the expected one. */
  editAndPatch(
    from: string | RegExp,
    to: string,
    outcome: PatchResult['outcome'] = 'patched',
  ): Promise<PatchResult> {
    this.session.edit(this.file, from, to);
    return this.session.patch(this.file, outcome);
  }

  /** Edits the unit; the patch must be refused for that reason, and the process must go on as before. */
  async editAndBeRefused(from: string | RegExp, to: string, code: string): Promise<PatchResult> {
    const before = await this.value(1);
    this.session.edit(this.file, from, to);
    const result = await this.session.refused(this.file, code);
    assert.equal(await this.program.ask('pid'), String(this.program.pid));
    assert.equal(await this.value(1), before);
    return result;
  }
}

export interface UnitOptions {
  language?: 'cc' | 'c';
  flags?: string[];
  /** Further units, already written into the session. */
  sources?: string[];
  linkFlags?: string[];
  compiler?: string;
}
