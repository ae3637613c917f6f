// A program under test: started with pipes, talked to line by line, always stopped by its pid. Waits are for lines
// and for the end of the process, never for time; a wait that cannot be met fails with what the program printed.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Long enough for a loaded machine; only reached when something is wrong. */
const patience = 30_000;

export interface StartOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

interface Waiter {
  matches: (line: string) => boolean;
  resolve: (line: string) => void;
  reject: (reason: Error) => void;
}

export class Program {
  readonly pid: number;
  /** All lines of standard output so far. */
  readonly lines: string[] = [];
  errorOutput = '';
  private readonly unread: string[] = [];
  private readonly waiters: Waiter[] = [];
  private readonly ended: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly title: string,
  ) {
    this.pid = child.pid ?? 0;
    this.ended = once(child, 'exit').then(() => {
      for (const waiter of this.waiters.splice(0)) waiter.reject(this.failure('ended'));
    });
    createInterface({ input: child.stdout! }).on('line', (line) => this.receive(line));
    child.stderr!.on('data', (data: Buffer) => (this.errorOutput += data.toString()));
    child.stdin!.on('error', () => undefined); // EPIPE: the end of the process is noticed by `ended`
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

  /** The next unread line that matches; unread lines before it are dropped. */
  line(matching: string | RegExp | ((line: string) => boolean) = () => true): Promise<string> {
    const matches =
      typeof matching === 'function'
        ? matching
        : (line: string) => (typeof matching === 'string' ? line === matching : matching.test(line));
    for (let line = this.unread.shift(); line !== undefined; line = this.unread.shift()) {
      if (matches(line)) return Promise.resolve(line);
    }
    if (!this.running) return Promise.reject(this.failure('has ended'));
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

  send(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  /** Sends a line and returns the next line the program prints. */
  ask(line: string): Promise<string> {
    const answer = this.line();
    this.send(line);
    return answer;
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

  private receive(line: string): void {
    this.lines.push(line);
    const index = this.waiters.findIndex((waiter) => waiter.matches(line));
    if (index < 0) this.unread.push(line);
    else this.waiters.splice(index, 1)[0]!.resolve(line);
  }

  private failure(what: string): Error {
    const state = this.running ? '' : ` (${this.child.signalCode ?? `status ${this.child.exitCode}`})`;
    const output = this.lines.slice(-10).join('\n  ');
    return new Error(
      `${this.title} ${what}${state}\nstdout:\n  ${output}\nstderr:\n  ${this.errorOutput.slice(-2000)}`,
    );
  }
}
