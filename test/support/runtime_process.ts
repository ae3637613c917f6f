// A program with the runtime in it, driven as the engine drives it but without the engine: requests are files, the
// doorbell is tgkill, answers are waited for with inotify. The program is C or C++ text, compiled at test time.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  type FSWatcher,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { attach } from './attach';
import { mappings, readMemory } from './memory';
import { type PatchContent, type PatchedFunction, type PatchedModule, writePatchFile } from './patch_file';
import { Program } from './program';
import {
  failOnFindings,
  linkedBefore,
  nativeDirectory,
  NotUnderSanitizers,
  notUnderSanitizers,
  preloadedBefore,
  sanitizerEnvironment,
} from './sanitizers';
import { removeTemporaryDirectory, temporaryDirectory } from './temporary';

export const runtimeLibrary = join(nativeDirectory, 'lib', 'libhot_fix.so');
const attachProgram = join(nativeDirectory, 'lib', 'hot_fix_attach');
export const staticLibrary = join(nativeDirectory, 'lib', 'libhot_fix.a');
/** LD_PRELOAD of a program that gets the runtime by it. */
export const preload = [...preloadedBefore, runtimeLibrary].join(' ');
/** Arguments of the link of a program that has the runtime in it, before its objects and behind them. */
export const embed = { before: linkedBefore, behind: [staticLibrary, '-ldl'] };
export const includeDirectory = join(nativeDirectory, 'include');

/** Long enough for a loaded machine; only reached when something is wrong. */
const patience = 60_000;

export interface Answer {
  id: string;
  ok: boolean;
  error: { code: string; message: string; symbol: string | null; errno: number | null } | null;
  warnings: { code: string; message: string }[];
  migrated: { type: string; objects: number }[];
  timings: Record<'read' | 'load' | 'relocate' | 'write' | 'total', number>;
  status: Status;
}

export interface Status {
  pid: number;
  sequence: number;
  patches: {
    id: number;
    file: string;
    base: string;
    length: number;
    kind: string;
    state: string;
    activeThreads: number;
  }[];
  functions: {
    symbol: string;
    address: string;
    version: number;
    versions: { version: number; patch: number | null; address: string; activeThreads: number }[];
    trampoline: { address: string; kind: string; method: string; bytesBefore: string; bytesAfter: string };
    pages: {
      start: string;
      length: number;
      through: string;
      calls: { protection: string; result: number; errno: number }[];
    }[];
    activeThreads: number;
    verified: boolean;
  }[];
  layouts: { type: string; layout: string }[];
}

export interface ProcessIdentity {
  protocol: number;
  pid: number;
  uid: number;
  startTime: number;
  exe: string;
  signal: number;
  workerTid: number;
}

/** Resolves when the path exists; its directory must. */
export function appears(path: string): Promise<void> {
  return changes(dirname(path), () => existsSync(path));
}

/** Resolves when the condition holds, which it is asked at each change in the directory and in its parent. */
async function changes(directory: string, condition: () => boolean): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watchers: FSWatcher[] = [];
    const finish = (settle: () => void) => {
      for (const watcher of watchers.splice(0)) watcher.close();
      clearTimeout(timer);
      settle();
    };
    const timer = setTimeout(() => finish(() => reject(new Error(`${directory}: waited in vain`))), patience);
    const look = () => {
      if (condition()) finish(resolve);
    };
    // The directory may be replaced by another of its name: then the parent changes, and it is watched anew.
    const watchDirectory = () => {
      if (existsSync(directory)) watchers.push(watch(directory, look).on('error', look));
      look();
    };
    watchers.push(watch(dirname(directory), watchDirectory));
    watchDirectory();
  });
}

export interface ProgramOptions {
  language?: 'c' | 'c++';
  compiler?: 'gcc' | 'clang';
  flags?: string[];
  env?: NodeJS.ProcessEnv;
  args?: string[];
  cwd?: string;
  /** How the runtime comes in; by default it is preloaded. `attached`: behind the program's first line. */
  runtime?: 'preloaded' | 'embedded' | 'both' | 'attached' | 'none';
}

/** One test's world: a directory, programs compiled and started in it, their control directories. */
export class RuntimeSession {
  readonly directory = temporaryDirectory();
  private readonly programs: Program[] = [];

  constructor() {
    mkdirSync(join(this.directory, 'run'), { mode: 0o700 });
    writeFileSync(
      this.path('ring.c'),
      `#include <stdlib.h>
       #include <sys/syscall.h>
       #include <unistd.h>
       int main(int c, char **v) { return syscall(SYS_tgkill, atoi(v[1]), atoi(v[2]), atoi(v[3])) != 0; }`,
    );
    execFileSync('gcc', [this.path('ring.c'), '-o', this.path('ring')]);
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, XDG_RUNTIME_DIR: this.path('run'), ...sanitizerEnvironment(this.directory) };
  }

  compile(
    name: string,
    source: string,
    { language = 'c', compiler = 'gcc', flags = [], runtime }: ProgramOptions = {},
  ): string {
    if (flags.some((flag) => flag.startsWith('-static')))
      notUnderSanitizers('their libraries cannot be in a static program');
    const file = this.path(`${name}.${language === 'c' ? 'c' : 'cc'}`);
    writeFileSync(file, source);
    const isEmbedded = runtime === 'embedded' || runtime === 'both';
    const drivers = { gcc: { c: 'gcc', 'c++': 'g++' }, clang: { c: 'clang', 'c++': 'clang++' } };
    const fixed = [
      '-O1',
      '-g',
      '-falign-functions=16',
      '-pthread',
      '-Wl,--build-id',
      `-I${includeDirectory}`,
    ];
    const before = isEmbedded ? embed.before : [];
    const behind = isEmbedded ? embed.behind : ['-ldl'];
    const args = [...before, ...fixed, ...flags, file, '-o', this.path(name), ...behind];
    execFileSync(drivers[compiler][language], args, { stdio: 'pipe' });
    return this.path(name);
  }

  /** Starts a compiled program and waits for its first line, and for its runtime unless it has none. */
  async start(executable: string, options: ProgramOptions = {}): Promise<RuntimeProcess> {
    const { runtime = 'preloaded', env = {}, args = [], cwd = this.directory } = options;
    if (runtime === 'attached') notUnderSanitizers('their libraries must be there from the beginning');
    const isPreloaded = runtime === 'preloaded' || runtime === 'both';
    const program = await Program.start(executable, args, {
      cwd,
      env: { ...this.environment, ...(isPreloaded ? { LD_PRELOAD: preload } : {}), ...env },
    });
    this.programs.push(program);
    await program.line();
    const process = new RuntimeProcess(this, program, executable, program.pid);
    if (runtime === 'attached')
      await attach(program.pid, { program: attachProgram, library: runtimeLibrary });
    if (runtime !== 'none') await process.announced();
    return process;
  }

  /** Compiles and starts in one. */
  run(source: string, options: ProgramOptions = {}): Promise<RuntimeProcess> {
    return this.start(this.compile('program', source, options), options);
  }

  /** Starts any other program; it is stopped with the session. */
  async startCommand(command: string, args: string[]): Promise<Program> {
    const program = await Program.start(command, args, { cwd: this.directory, env: this.environment });
    this.programs.push(program);
    return program;
  }

  ring(pid: number, tid: number, signal: number): void {
    execFileSync(this.path('ring'), [pid, tid, signal].map(String));
  }

  async dispose(): Promise<void> {
    await Promise.all(this.programs.map((program) => program.stop()));
    try {
      failOnFindings(this.directory);
    } finally {
      removeTemporaryDirectory(this.directory);
    }
  }
}

/** Wraps the body of a test: its session lives as long as the test does. */
export function inRuntimeSession(
  test: (session: RuntimeSession) => Promise<void>,
): (this: Mocha.Context) => Promise<void> {
  return async function () {
    const session = new RuntimeSession();
    try {
      await test(session);
    } catch (error) {
      if (!(error instanceof NotUnderSanitizers)) throw error;
      console.log(`    not run under sanitizers: ${error.message}`);
      this.skip();
    } finally {
      await session.dispose();
    }
  };
}

interface Symbol {
  address: bigint;
  size: number;
}

export class RuntimeProcess {
  private requests = 0;
  private patches = 0;
  private readonly originals = new Map<string, string>();
  private symbolTable: Map<string, Symbol> | undefined;

  constructor(
    readonly session: RuntimeSession,
    readonly program: Program,
    readonly executable: string,
    readonly pid: number,
  ) {}

  get controlDirectory(): string {
    return this.session.path('run', `hot_fix-${process.getuid!()}`, String(this.pid));
  }

  async announced(): Promise<void> {
    await appears(dirname(this.controlDirectory));
    await appears(this.controlDirectory);
    await appears(join(this.controlDirectory, 'process.json'));
  }

  /** Waits until another runtime than the one with that worker has announced itself. */
  async reannounced(workerTid: number): Promise<void> {
    await changes(this.controlDirectory, () => {
      const file = join(this.controlDirectory, 'process.json');
      return existsSync(file) && this.identity.workerTid !== workerTid;
    });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  get identity(): ProcessIdentity {
    return JSON.parse(readFileSync(join(this.controlDirectory, 'process.json'), 'utf8')) as ProcessIdentity;
  }

  /** Puts a request there as it is, without the doorbell. */
  place(id: string, text: string): void {
    const requests = join(this.controlDirectory, 'requests');
    writeFileSync(join(requests, `.${id}`), text);
    renameSync(join(requests, `.${id}`), join(requests, id));
  }

  ring(): void {
    const { pid, workerTid, signal } = this.identity;
    this.session.ring(pid, workerTid, signal);
  }

  async answer(id: string): Promise<Answer> {
    const path = join(this.controlDirectory, 'answers', `${id}.json`);
    await appears(path);
    const answer = JSON.parse(readFileSync(path, 'utf8')) as Answer;
    rmSync(path);
    return answer;
  }

  async send(text: string): Promise<Answer> {
    const id = `request-${++this.requests}`;
    this.place(id, text);
    this.ring();
    const answer = await this.answer(id);
    assert.equal(answer.id, id);
    return answer;
  }

  request(command: string, ...lines: string[]): Promise<Answer> {
    return this.send(['hot_fix 1', `command ${command}`, ...lines, 'end', ''].join('\n'));
  }

  /** A request that must succeed. */
  async done(command: string, ...lines: string[]): Promise<Status> {
    const answer = await this.request(command, ...lines);
    assert.ok(answer.ok, `${command}: ${JSON.stringify(answer.error)}`);
    for (const f of answer.status.functions) assert.ok(f.verified, `${f.symbol} is not verified`);
    return answer.status;
  }

  /** A request that must be refused for this reason; its message. */
  async refused(code: string, command: string, ...lines: string[]): Promise<string> {
    const answer = await this.request(command, ...lines);
    assert.equal(answer.error?.code, code, JSON.stringify(answer.error));
    return answer.error.message;
  }

  private symbols(): Map<string, Symbol> {
    this.symbolTable ??= new Map(
      execFileSync('nm', ['-S', '--defined-only', this.executable], { encoding: 'utf8' })
        .split('\n')
        .map((row) => row.split(' '))
        .filter((fields) => fields.length === 4)
        .map(([address, size, , name]) => [
          name!,
          { address: BigInt(`0x${address}`), size: parseInt(size!, 16) },
        ]),
    );
    return this.symbolTable;
  }

  get module(): PatchedModule {
    const notes = execFileSync('readelf', ['-n', this.executable], { encoding: 'utf8' });
    const buildId = /Build ID: ([0-9a-f]+)/.exec(notes)![1]!;
    const type = readFileSync(this.executable).readUInt16LE(16);
    const first = mappings(this.pid).find((mapping) => mapping.path === this.executable)!;
    return { path: this.executable, bias: type === 3 ? first.start : 0n, buildId };
  }

  address(symbol: string): bigint {
    const found = this.symbols().get(symbol);
    if (!found) throw new Error(`${this.executable} has no ${symbol}`);
    return found.address + this.module.bias;
  }

  size(symbol: string): number {
    return this.symbols().get(symbol)!.size;
  }

  /** What replaces `symbol` by `target`; its original bytes are those at the first call. */
  fix(symbol: string, target: string, more: Partial<PatchedFunction> = {}): PatchedFunction {
    const entry = this.address(symbol);
    if (!this.originals.has(symbol)) this.originals.set(symbol, readMemory(this.pid, entry, 16));
    return {
      name: symbol,
      entry,
      target,
      original: this.originals.get(symbol)!,
      size: this.size(symbol),
      ...more,
    };
  }

  /** A free place for a patch below the program (or, when that lies low, above), another one for each call. */
  freePlace(): bigint {
    const all = mappings(this.pid);
    const first = all.find((mapping) => mapping.path === this.executable)!;
    const [start, step] =
      first.start > 0x40000000n ? [first.start - 0x20000000n, -0x100000n] : [0x10000000n, 0x100000n];
    for (;;) {
      const place = start + BigInt(++this.patches) * step;
      if (!all.some((mapping) => place < mapping.end && mapping.start < place + 0x100000n)) return place;
    }
  }

  /** Writes a patch file that replaces the functions `old: new` of the map. */
  patchFile(source: string, functions: Record<string, string>, more: Partial<PatchContent> = {}): string {
    return writePatchFile(this.session.directory, `patch-${this.pid}-${this.patches + 1}`, {
      source,
      address: this.freePlace(),
      module: this.module,
      functions: Object.entries(functions).map(([old, target]) => this.fix(old, target)),
      ...more,
    });
  }

  /** Patches with new functions; must succeed. */
  patch(
    source: string,
    functions: Record<string, string>,
    more: Partial<PatchContent> = {},
  ): Promise<Status> {
    return this.done('patch', `file ${this.patchFile(source, functions, more)}`);
  }

  revert(symbol: string, version: number): Promise<Status> {
    return this.done('revert', `function 0x${this.address(symbol).toString(16)} ${version}`);
  }

  ask(line: string): Promise<string> {
    return this.program.ask(line);
  }
}
