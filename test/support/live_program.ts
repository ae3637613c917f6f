// Programs made of units that can be observed: a driver that calls the observers of the units on demand, built as an
// executable, a linked or a loaded library, started with or without the runtime. The live one is edited and patched by
// an engine in this process; the same text built anew in another directory says what is right.
import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine } from '../../extension/engine/engine';
import type { AheadReport, PatchResult } from '../../extension/engine/model/result';
import { Program } from './program';
import { dist, samples } from './paths';
import { removeTemporaryDirectory, temporaryDirectory } from './temporary';
import { until } from './until';

const execute = promisify(execFile);

export type Texts = Readonly<Record<string, string>>;

/** A translation unit: a source and the flags it has besides those of the program. */
export interface Unit {
  file: string;
  flags?: readonly string[];
  /** Name of the object, when the file is compiled more than once. */
  object?: string;
}

/** A function of a unit that is called to see what the program does: `long name(long)` or `const char *name(long)`. */
export interface Observer {
  name: string;
  returns: 'number' | 'text';
}

export interface ProgramPlan {
  compilers: { c: string; cxx: string };
  flags: readonly string[];
  linkFlags?: readonly string[];
  /** Where the units are: in the executable, in a library it is linked with, in one that it loads with dlopen. */
  module: 'executable' | 'linked' | 'loaded';
  units: readonly Unit[];
  observers: readonly Observer[];
}

export const objectOf = ({ file, object }: Unit): string => `${object ?? file}.o`;

const isC = (file: string) => file.endsWith('.c');

function writeTexts(directory: string, texts: Texts): void {
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
}

/** The table by which the driver finds the observers; it stands in the module of the units. */
function observerTable(observers: readonly Observer[]): string {
  const declared = observers.map(({ name, returns }) =>
    returns === 'text' ? `const char *${name}(long);` : `long ${name}(long);`,
  );
  const rows = observers.map(({ name, returns }) =>
    returns === 'text' ? `{"${name}", 0, ${name}},` : `{"${name}", ${name}, 0},`,
  );
  return `struct observer { const char *name; long (*number)(long); const char *(*text)(long); };
${declared.join('\n')}
__attribute__((visibility("default"))) const struct observer observers[] = {
${rows.join('\n')}
{0, 0, 0}};
int behind_all_units(int n) { return n * n + 100; }
`;
}

async function run(command: string, args: readonly string[], directory: string): Promise<void> {
  try {
    await execute(command, args, { cwd: directory, maxBuffer: 1 << 26 });
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    throw new Error(`${command} ${args.join(' ')}\n${stderr || message}`, { cause: error });
  }
}

/** Does the work for each, two at a time, and returns the results in their order. */
export async function twoAtATime<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!);
  };
  await Promise.all([lane(), lane()]);
  return results;
}

export interface Built {
  directory: string;
  executable: string;
}

/** Which units cannot be compiled by the plan, with the compiler's words. */
export async function uncompilable(
  directory: string,
  plan: ProgramPlan,
  texts: Texts,
): Promise<Map<Unit, string>> {
  writeTexts(directory, texts);
  const failures = new Map<Unit, string>();
  await twoAtATime(plan.units, async (unit) => {
    try {
      await compile(directory, plan, unit);
    } catch (error) {
      failures.set(unit, (error as Error).message);
    }
  });
  return failures;
}

const commandOf = ({ compilers, flags, module }: ProgramPlan, unit: Unit): string[] => [
  isC(unit.file) ? compilers.c : compilers.cxx,
  ...flags,
  ...(module === 'executable' ? [] : ['-fPIC']),
  ...(unit.flags ?? []),
  ...['-c', unit.file, '-o', objectOf(unit)],
];

async function compile(directory: string, plan: ProgramPlan, unit: Unit): Promise<void> {
  const [command, ...args] = commandOf(plan, unit);
  await run(command!, args, directory);
}

/** Links a plan whose units are compiled, with the driver, and writes compile_commands.json. */
export async function link(directory: string, plan: ProgramPlan): Promise<Built> {
  copyFileSync(join(samples, 'driver', 'observe.c'), join(directory, 'driver.c'));
  writeFileSync(join(directory, 'observers.c'), observerTable(plan.observers));
  const driver: Unit = { file: 'driver.c', flags: plan.module === 'loaded' ? ['-DLOADED'] : [] };
  const table: Unit = { file: 'observers.c' };
  const linker = plan.units.every(({ file }) => isC(file)) ? plan.compilers.c : plan.compilers.cxx;
  // Also while no unit uses the libraries of C++, as in a larger program.
  const linkArgs = ['-Wl,--no-as-needed', ...plan.flags, ...(plan.linkFlags ?? [])];
  await compile(directory, plan, driver);
  await compile(directory, plan, table);
  // Behind the last function of a module there is no padding.
  const objects = [...plan.units, table].map(objectOf);
  const libraries = ['-pthread', '-ldl', '-lm'];
  if (plan.module === 'executable')
    await run(linker, ['driver.c.o', ...objects, '-o', 'program', ...linkArgs, ...libraries], directory);
  else {
    await run(linker, ['-shared', ...objects, '-o', 'libunits.so', ...linkArgs, ...libraries], directory);
    const library = plan.module === 'linked' ? ['-L.', '-lunits', '-Wl,-rpath,$ORIGIN'] : [];
    await run(linker, ['driver.c.o', '-o', 'program', ...library, ...linkArgs, ...libraries], directory);
  }
  const commands = [driver, table, ...plan.units].map((unit) => ({
    directory,
    file: unit.file,
    arguments: commandOf(plan, unit),
    output: objectOf(unit),
  }));
  writeFileSync(join(directory, 'compile_commands.json'), JSON.stringify(commands));
  chmodSync(join(directory, 'compile_commands.json'), 0o644);
  return { directory, executable: join(directory, 'program') };
}

/** Builds a plan from these texts in an empty directory. Fails with the compiler's words. */
export async function build(directory: string, plan: ProgramPlan, texts: Texts): Promise<Built> {
  const failures = await uncompilable(directory, plan, texts);
  for (const message of failures.values()) throw new Error(message);
  return link(directory, plan);
}

/** A running program that is asked for what its observers see. */
export class Observed {
  private constructor(private readonly program: Program) {}

  static async start({ directory, executable }: Built, env: NodeJS.ProcessEnv): Promise<Observed> {
    const program = await Program.start(executable, [], { cwd: directory, env });
    await program.line('ready');
    return new Observed(program);
  }

  get pid(): number {
    return this.program.pid;
  }

  get running(): boolean {
    return this.program.running;
  }

  /** Calls an observer with each of the numbers, in one line; fails when the process ends of it. */
  observe(name: string, calls: readonly (number | string)[]): Promise<string> {
    return this.program.ask([name, ...calls].join(' '));
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

/** An engine in this process with a control directory of its own, and the programs that it patches. */
export class EngineWorld {
  readonly directory = temporaryDirectory();
  readonly engine: Engine;
  private readonly runtimeDirectory = process.env['XDG_RUNTIME_DIR'];
  private readonly started: Observed[] = [];
  private directories = 0;
  private readonly messages: string[] = [];

  constructor() {
    for (const name of ['run', 'tmp']) mkdirSync(join(this.directory, name), { mode: 0o700 });
    process.env['XDG_RUNTIME_DIR'] = join(this.directory, 'run');
    this.engine = createEngine({
      temporaryDirectory: join(this.directory, 'tmp'),
      preambleDirectory: join(this.directory, 'preambles'),
      layoutDirectory: join(this.directory, 'layouts'),
      runtimeDirectory: join(dist, 'native', 'lib'),
      log: (_level, message) => {
        if (/preamble/.test(message)) this.messages.push(message);
      },
    });
  }

  /** A new empty directory. */
  newDirectory(): string {
    const directory = join(this.directory, `p${++this.directories}`);
    mkdirSync(directory);
    return directory;
  }

  /** How many preambles were compiled ahead. */
  preambles(): number {
    const directory = join(this.directory, 'preambles');
    if (!existsSync(directory)) return 0;
    return readdirSync(directory).filter((name) => existsSync(join(directory, name, 'facts.json'))).length;
  }

  /** Waits until it is known of each file whether it goes over its preamble, as while nobody saves for a time.
   * @returns how many do */
  async untilTried({ directory }: Built, files: readonly string[]): Promise<number> {
    const paths = files.map((name) => join(directory, name));
    const said = (path: string, what: string): boolean =>
      this.messages.some((message) => message.startsWith(`${what} ${path}`));
    await until(
      () => paths.every((path) => said(path, 'over its preamble') || said(path, 'no preamble of')),
      (done) => done,
    );
    return paths.filter((path) => this.messages.includes(`over its preamble ${path} is the same object`))
      .length;
  }

  private get environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      LANG: 'C.UTF-8',
      ASAN_OPTIONS: 'detect_leaks=0',
      LLVM_PROFILE_FILE: '/dev/null',
    };
  }

  /** Starts a program with the runtime, which is there when this returns. */
  async startLive(built: Built): Promise<Observed> {
    // A sanitizer's library comes before the runtime.
    const { LD_PRELOAD } = this.engine.runEnvironment({ PATH: process.env['PATH'] }, built.executable);
    const live = await this.begin(built, { LD_PRELOAD });
    await until(
      () => this.engine.processes(),
      (processes) => processes.some(({ pid, runtime }) => pid === live.pid && runtime !== undefined),
    );
    return live;
  }

  /** Starts a program without the runtime. */
  startReference(built: Built): Promise<Observed> {
    return this.begin(built, {});
  }

  private async begin(built: Built, env: NodeJS.ProcessEnv): Promise<Observed> {
    const observed = await Observed.start(built, { ...this.environment, ...env });
    this.started.push(observed);
    return observed;
  }

  /** Writes the texts as an editor does, and saves those files into the process. */
  save({ directory }: Built, live: Observed, texts: Texts, firstLight = false): Promise<PatchResult> {
    writeTexts(directory, texts);
    const files = Object.keys(texts).map((name) => join(directory, name));
    return this.engine.patch({ files, target: { kind: 'pid', pids: [live.pid] }, firstLight });
  }

  /** Has a text compiled ahead of its save, as while somebody types it. */
  type({ directory }: Built, live: Observed, file: string, text: string): Promise<AheadReport> {
    const target = { kind: 'pid' as const, pids: [live.pid] };
    return this.engine.ahead({ file: join(directory, file), text, target });
  }

  /** Writes the texts without saving them into a process. */
  restore({ directory }: Built, texts: Texts): void {
    writeTexts(directory, texts);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.started.map((observed) => observed.stop()));
    await this.engine.dispose();
    if (this.runtimeDirectory === undefined) delete process.env['XDG_RUNTIME_DIR'];
    else process.env['XDG_RUNTIME_DIR'] = this.runtimeDirectory;
    removeTemporaryDirectory(this.directory);
  }
}
