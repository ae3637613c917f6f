// Each system call of the runtime failing in turn, while it loads, applies, reverts or reports: one process goes through
// all of it. After each fault its two functions are both old or both new, as the answer says; the next request works;
// and no file is left behind.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root } from '../support/paths';
import {
  type Answer,
  type RuntimeProcess,
  type RuntimeSession,
  runtimeLibrary,
} from '../support/runtime_process';
import { preloadedBefore } from '../support/sanitizers';

const { EACCES, EDQUOT, EINVAL, EIO, EMFILE, ENOMEM, ENOSPC, EPERM } = constants.errno;
/** Half of the bytes are transferred. */
const half = 0;

/** The calls in the order of failing_calls.c, and how each fails. */
const CALLS: [string, number[]][] = [
  ['open', [EMFILE]],
  ['openat', [EMFILE]],
  ['read', [EIO, half]],
  ['pread', [EIO, half]],
  ['write', [ENOSPC, half]],
  ['pwrite', [EIO, half]],
  ['close', [EIO]],
  ['fstat', [EIO]],
  ['fstatat', [EIO]],
  ['stat', [EIO]],
  ['mkdirat', [ENOSPC]],
  ['fchmod', [EPERM]],
  ['renameat', [EDQUOT]],
  ['unlinkat', [EPERM]],
  ['readlink', [EACCES]],
  ['lseek', [EINVAL]],
  ['mmap', [ENOMEM]],
  ['mprotect', [ENOMEM, EACCES]],
  ['munmap', [ENOMEM]],
  ['process_vm_readv', [EPERM, half]],
  ['membarrier', [EPERM]],
  ['getdents64', [EIO]],
  ['rt_sigaction', [EINVAL]],
  ['tgkill', [EPERM]],
  ['ioctl', [EINVAL]],
];

const source = `
#include <stdio.h>
#include <string.h>
#define SHORT(name) __attribute__((naked, noipa)) int name(void) { \\
  __asm__("push %rbp; mov %rsp,%rbp; mov $0x8a000000,%eax; xor %eax,%eax; pop %rbp; ret"); }
SHORT(first)
SHORT(second)
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d %d\\n", first(), second());
  return 0;
}`;

export interface Cell {
  /** What the process did while the call failed, and in which kind of program. */
  step: string;
  call: string;
  nth: number;
  /** `old` and `new` as the answer said, `unanswered` ones with what the process is; everything else is wrong. */
  outcome:
    'old' | 'new' | 'unanswered-old' | 'unanswered-new' | 'mixed' | 'dead' | 'lie' | 'stuck' | 'litter';
  detail: string;
}

export const isWrong = ({ outcome }: Cell) => ['mixed', 'dead', 'lie', 'stuck', 'litter'].includes(outcome);

/** The file that tells the process which of its calls fails. */
class Plan {
  private readonly file: number;
  constructor(path: string) {
    this.file = openSync(path, 'w+', 0o600);
    writeSync(this.file, Buffer.alloc(4096));
  }
  private set(index: number, ...values: number[]): void {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, i) => bytes.writeInt32LE(value, 4 * i));
    writeSync(this.file, bytes, 0, bytes.length, 4 * index);
  }
  private get(index: number): number {
    const bytes = Buffer.alloc(4);
    readSync(this.file, bytes, 0, 4, 4 * index);
    return bytes.readInt32LE();
  }
  /** From here on the calls of the thread are counted, and the nth of that kind fails. */
  begin(tid: number, call: number, nth: number, error: number): void {
    this.set(0, tid, call, nth, error, 0, ...CALLS.map(() => 0));
  }
  end(): void {
    this.set(0, 0, -1);
  }
  get hasFailed(): boolean {
    return this.get(4) > 0;
  }
  /** How often each call was made. */
  get made(): number[] {
    return CALLS.map((_, call) => this.get(5 + call));
  }
  dispose(): void {
    closeSync(this.file);
  }
}

interface Step {
  name: string;
  /** The lines of the request, and what both functions return once it is done. */
  prepare: (world: World) => { command: string; lines: string[]; result: number };
}

const STEPS: Step[] = [
  {
    name: 'patch',
    prepare: (world) => {
      const { file, result } = world.nextFile();
      return { command: 'patch', lines: [`file ${file}`], result };
    },
  },
  {
    name: 'revert',
    prepare: (world) => ({ command: 'revert', lines: ['all'], result: world.original }),
  },
  {
    name: 'status',
    prepare: (world) => ({ command: 'status', lines: [], result: world.current }),
  },
];

/** A program with the runtime, the patches made for it, and what its functions return now. */
class World {
  readonly original = 0;
  current = 0;
  private readonly files: { file: string; result: number }[] = [];
  private used: Set<string> = new Set();
  private sent = 0;

  constructor(
    readonly process: RuntimeProcess,
    readonly plan: Plan,
  ) {}

  /** A patch file that the process does not know (or no longer). */
  nextFile(): { file: string; result: number } {
    const known = this.files.find(({ file }) => !this.used.has(file));
    if (known) {
      this.used.add(known.file);
      return known;
    }
    const result = this.files.length + 1;
    const functions = ['first', 'second'].map((name) =>
      this.process.fix(name, `new_${name}`, { boundaries: 0b10011 }),
    );
    const text = functions.map(({ target }) => `int ${target}(void) { return ${result}; }`).join('\n');
    const made = { file: this.process.patchFile(text, {}, { functions }), result };
    this.files.push(made);
    this.used.add(made.file);
    return made;
  }

  /** Takes down which files the process has. */
  note({ status }: Answer): void {
    this.used = new Set(status.patches.map(({ file }) => file));
  }

  /**
   * Sends a request with the fault that is planned for it, until the worker waits again; then one for the status without
   * a fault. Once that is answered, the first will get no answer any more.
   */
  async send(command: string, lines: readonly string[]): Promise<{ answer?: Answer; after: Answer }> {
    const id = `a-${++this.sent}`;
    const last = `b-${this.sent}`;
    const file = join(this.process.controlDirectory, 'answers', `${id}.json`);
    this.process.place(id, ['hot_fix 1', `command ${command}`, ...lines, 'end', ''].join('\n'));
    this.process.ring();
    while (this.process.program.running && !((existsSync(file) || this.plan.hasFailed) && this.isIdle()))
      await new Promise((resolve) => setImmediate(resolve));
    this.plan.end();
    this.process.place(last, 'hot_fix 1\ncommand status\nend\n');
    this.process.ring();
    const after = await this.process.answer(last);
    if (!existsSync(file)) return { after };
    const answer = JSON.parse(readFileSync(file, 'utf8')) as Answer;
    rmSync(file);
    return { answer, after };
  }

  /** Whether the worker waits for the next ring: in a futex(2). */
  private isIdle(): boolean {
    try {
      const call = readFileSync(
        `/proc/${this.process.pid}/task/${this.process.identity.workerTid}/syscall`,
        'utf8',
      );
      return call.startsWith('202 ');
    } catch {
      return false;
    }
  }

  /** Applies a patch that nothing stands in the way of; what went wrong, if anything did. */
  async patch(): Promise<string | undefined> {
    const { file, result } = this.nextFile();
    const { answer, after } = await this.send('patch', [`file ${file}`]);
    this.note(after);
    // What a failed munmap left is still there: engines choose another place then, and so does this.
    if (answer?.error?.code === 'address-taken') {
      this.used.add(file);
      return this.patch();
    }
    const now = await this.results();
    if (answer?.ok && now === result) {
      this.current = now;
      return undefined;
    }
    return `${JSON.stringify(answer?.error ?? 'no answer')}, and the functions return ${now}`;
  }

  /** What both functions return, or undefined when they differ. */
  async results(): Promise<number | undefined> {
    const [first, second] = (await this.process.ask('')).split(' ').map(Number);
    return first === second ? first : undefined;
  }

  /** What lies in the control directory that belongs to no request under way and to no patch. */
  litter(): string[] {
    const list = (name: string) =>
      readdirSync(join(this.process.controlDirectory, name)).map((file) => `${name}/${file}`);
    const top = readdirSync(this.process.controlDirectory).filter(
      (name) => !['process.json', 'status.json', 'requests', 'answers', 'patches', 'held'].includes(name),
    );
    // What could not be removed was moved to that name.
    return [...list('requests'), ...list('answers'), ...list('held'), ...top].filter(
      (name) => name !== 'requests/.unusable',
    );
  }
}

async function startWorld(session: RuntimeSession, name: string, flags: string[]): Promise<World> {
  const library = session.path('failing_calls.so');
  if (!existsSync(library)) {
    const text = join(root, 'test', 'faults', 'failing_calls.c');
    execFileSync('gcc', ['-O1', '-shared', '-fPIC', text, '-o', library, '-ldl']);
  }
  const control = session.path(`${name}.plan`);
  const plan = new Plan(control);
  const process = await session.start(session.compile(name, source, { flags }), {
    env: { LD_PRELOAD: [...preloadedBefore, library, runtimeLibrary].join(' '), FAILING_CALLS: control },
  });
  return new World(process, plan);
}

/** One fault: the state before is known, and the process is asked behind it. */
async function tryOnce(world: World, step: Step, call: number, nth: number, error: number): Promise<Cell> {
  const [name] = CALLS[call]!;
  const cell = (outcome: Cell['outcome'], detail = ''): Cell => ({
    ...{ step: step.name, call: `${name}${error === half ? '/2' : ''}`, nth, outcome, detail },
  });
  const old = world.current;
  const { command, lines, result } = step.prepare(world);
  let answer: Answer | undefined;
  try {
    world.plan.begin(world.process.identity.workerTid, call, nth, error);
    const both = await world.send(command, lines);
    answer = both.answer;
    world.note(both.after);
  } catch (failure) {
    return cell(world.process.program.running ? 'stuck' : 'dead', String(failure));
  }
  const now = await world.results();
  if (now === undefined) return cell('mixed');
  if (now !== old && now !== result) return cell('mixed', `${now} instead of ${old} or ${result}`);
  world.current = now;
  if (answer && answer.ok !== (now === result) && old !== result)
    return cell('lie', `ok: ${answer.ok}, ${JSON.stringify(answer.error)}, and the functions return ${now}`);
  const litter = world.litter();
  if (litter.length > 0) {
    for (const file of litter) rmSync(join(world.process.controlDirectory, file), { recursive: true });
    return cell('litter', litter.join());
  }
  // The next request works.
  const problem = await world.patch();
  if (problem !== undefined) return cell('stuck', problem);
  const outcome = now === result && old !== result ? 'new' : 'old';
  return cell(
    answer ? outcome : `unanswered-${outcome}`,
    answer?.error ? `${answer.error.code}: ${answer.error.message}` : '',
  );
}

/** How entries are changed: by stores, or closed; in the lower half of the address space the bytes of these lead nowhere. */
const WAYS = { stores: [], traps: ['-no-pie'] };
export type Way = keyof typeof WAYS;
export const ways = Object.keys(WAYS) as Way[];

/** Picks at most so many of the numbers 1 to `count`, from the first to the last. */
export const spread = (most: number) => (count: number) => {
  const picked = Math.min(most, count);
  return Array.from(
    { length: picked },
    (_, i) => 1 + Math.round((i * (count - 1)) / Math.max(1, picked - 1)),
  );
};

/** Goes through all steps, calls and times; `sample` picks the times out of 1 to `count`. */
export async function failEachCall(
  session: RuntimeSession,
  kinds: readonly Way[],
  sample: (count: number) => number[],
  report: (cell: Cell) => void = () => undefined,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const kind of kinds) {
    const flags = WAYS[kind];
    let world = await startWorld(session, kind, flags);
    for (const step of STEPS) {
      // Without a fault first: how often is each call made?
      world.plan.begin(world.process.identity.workerTid, -1, 0, 0);
      const { command, lines, result } = step.prepare(world);
      const { answer, after } = await world.send(command, lines);
      if (!answer?.ok) throw new Error(`${step.name} fails by itself: ${JSON.stringify(answer?.error)}`);
      world.note(after);
      world.current = result;
      const { made } = world.plan;
      if (step.name === 'revert') await world.patch();
      for (const [call, [, errors]] of CALLS.entries()) {
        for (const nth of sample(made[call]!)) {
          for (const error of errors) {
            if (step.name === 'revert' && world.current === world.original)
              throw new Error('nothing to revert');
            const cell = await tryOnce(world, step, call, nth, error);
            const named = { ...cell, step: `${step.name}, ${kind}` };
            cells.push(named);
            report(named);
            if (!isWrong(cell) || cell.outcome === 'litter') continue;
            world.plan.dispose();
            await world.process.program.stop();
            world = await startWorld(session, `${kind}-${cells.length}`, flags);
            await world
              .send('patch', [`file ${world.nextFile().file}`])
              .then(({ after }) => world.note(after));
            world.current = (await world.results())!;
          }
        }
      }
      await world.patch();
    }
    world.plan.dispose();
  }
  return cells;
}
