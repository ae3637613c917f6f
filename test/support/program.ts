// A program under test: started with pipes, talked to line by line, always stopped by its pid. Waits are for lines
// and for the end of the process, never for time; a wait that cannot be met fails with what the program printed.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Long enough for a loaded machine; only reached when something is wrong. */
const patience = 60_000;

export interface StartOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

type Matching = string | RegExp | ((line: string) => boolean);

interface Waiter {
  matches: (line: string) => boolean;
  resolve: (line: string) => void;
  reject: (reason: Error) => void;
}

/** The lines of one stream: those that came, and those that are waited for. */
class Lines {
  readonly all: string[] = [];
  private readonly unread: string[] = [];
  private readonly waiters: Waiter[] = [];
  private ended = false;

  constructor(
    stream: Readable,
    private readonly failure: (what: string) => Error,
  ) {
    const reader = createInterface({ input: stream });
    reader.on('line', (line) => {
      this.all.push(line);
      const index = this.waiters.findIndex((waiter) => waiter.matches(line));
      if (index < 0) this.unread.push(line);
      else this.waiters.splice(index, 1)[0]!.resolve(line);
    });
    reader.on('close', () => {
      this.ended = true;
      for (const waiter of this.waiters.splice(0)) waiter.reject(this.failure('ended'));
    });
  }

  next(matching: Matching): Promise<string> {
    const matches =
      typeof matching === 'function'
        ? matching
        : (line: string) => (typeof matching === 'string' ? line === matching : matching.test(line));
    for (let line = this.unread.shift(); line !== undefined; line = this.unread.shift()) {
      if (matches(line)) return Promise.resolve(line);
    }
    if (this.ended) return Promise.reject(this.failure('has ended'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.failure(`printed no line like ${String(matching)}`)),
        patience,
      );
      this.waiters.push({
        matches,
        resolve: (line) => (clearTimeout(timer), resolve(line)),
        reject: (reason) => (clearTimeout(timer), reject(reason)),
      });
    });
  }
}

const any = () => true;

export class Program {
  readonly pid: number;
  private readonly output: Lines;
  private readonly errors: Lines;
  private readonly ended: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly title: string,
  ) {
    this.pid = child.pid ?? 0;
    this.ended = once(child, 'exit');
    const failure = (what: string) => this.failure(what);
    this.output = new Lines(child.stdout!, failure);
    this.errors = new Lines(child.stderr!, failure);
    child.stdin!.on('error', () => undefined); // EPIPE: the end of the process is noticed by its streams
  }

  static async start(command: string, args: string[] = [], options: StartOptions = {}): Promise<Program> {
    const child = spawn(command, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    await Promise.race([
      once(child, 'spawn'),
      once(child, 'error').then(([error]) => Promise.reject(error as Error)),
    ]);
    return new Program(child, command);
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** All lines of standard output so far. */
  get lines(): readonly string[] {
    return this.output.all;
  }

  /** All lines of standard error so far. */
  get errorLines(): readonly string[] {
    return this.errors.all;
  }

  /** The next unread line of standard output that matches; unread lines before it are dropped. */
  line(matching: Matching = any): Promise<string> {
    return this.output.next(matching);
  }

  /** The same for standard error. */
  errorLine(matching: Matching = any): Promise<string> {
    return this.errors.next(matching);
  }

  send(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  /** Sends a line and returns the next line the program prints. */
  ask(line: string): Promise<string> {
    const answer = this.line();
    this.send(line);
    return answer;
  }

  /** Ends the program's standard input. */
  endInput(): void {
    this.child.stdin!.end();
  }

  /** Waits for the end of the process; its exit status, or the name of the signal that ended it. */
  async exit(): Promise<number | string> {
    await this.ended;
    return this.child.exitCode ?? this.child.signalCode ?? 'unknown';
  }

  async stop(): Promise<void> {
    if (this.running) process.kill(this.pid, 'SIGKILL');
    await this.ended;
  }

  private failure(what: string): Error {
    const state = this.running
      ? ` (${threadStates(this.pid)})`
      : ` (${this.child.signalCode ?? `status ${this.child.exitCode}`})`;
    const last = (lines: Lines) => lines.all.slice(-10).join('\n  ');
    return new Error(
      `${this.title} ${what}${state}\nstdout:\n  ${last(this.output)}\nstderr:\n  ${last(this.errors)}`,
    );
  }
}

/** What each thread does, of a process that gives no answer: its state, its tracer, where it waits. */
function threadStates(pid: number): string {
  const read = (path: string): string => {
    try {
      return readFileSync(`/proc/${pid}/task/${path}`, 'utf8');
    } catch {
      return '';
    }
  };
  const field = (status: string, name: string) =>
    new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const threads = (existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : []).map((tid) => {
    const status = read(`${tid}/status`);
    const pending = `${field(status, 'SigPnd')}/${field(status, 'ShdPnd')}`;
    const parts = [field(status, 'State'), `tracer ${field(status, 'TracerPid')}`, `pending ${pending}`];
    return `${read(`${tid}/comm`).trim()} ${tid}: ${[...parts, `in call ${read(`${tid}/syscall`).trim()}`].join(', ')}`;
  });
  return threads.join('; ');
}
