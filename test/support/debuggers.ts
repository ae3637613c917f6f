// Real debuggers as a user drives them: gdb through its machine interface, lldb through its prompt. Commands are given
// in their own words; what is waited for is a stop or the end of a command, never time.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { until } from './until';

/** Long enough for a loaded machine; only reached when something is wrong. */
const patience = 60_000;

/** Lines of a debugger's output, and those who wait for one. */
class Dialogue {
  readonly lines: string[] = [];
  private read = 0;
  private wake: (() => void) | undefined;
  private readonly child: ChildProcess;
  readonly ended: Promise<unknown>;

  constructor(command: string, args: string[]) {
    this.child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LANG: 'C.UTF-8' },
    });
    this.ended = once(this.child, 'exit');
    for (const stream of [this.child.stdout!, this.child.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.wake?.();
      });
  }

  send(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  /** Lines up to and with the first unread one that matches. */
  async until(matching: RegExp): Promise<string[]> {
    for (;;) {
      const index = this.lines.findIndex((line, at) => at >= this.read && matching.test(line));
      if (index >= 0) {
        const found = this.lines.slice(this.read, index + 1);
        this.read = index + 1;
        return found;
      }
      await this.more(matching);
    }
  }

  private more(matching: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`waited in vain for ${String(matching)} in\n${this.lines.slice(-40).join('\n')}`)),
        patience,
      );
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async end(...farewell: string[]): Promise<void> {
    if (this.child.exitCode !== null) return;
    for (const line of farewell) this.send(line);
    this.child.stdin!.end();
    const timer = setTimeout(() => this.child.kill('SIGKILL'), patience);
    await this.ended;
    clearTimeout(timer);
  }
}

export interface Stop {
  reason: string;
  /** The whole record, for messages and for further fields. */
  record: string;
}

export class Gdb {
  private readonly dialogue = new Dialogue('gdb', [
    ...['-q', '-nx', '--interpreter=mi3'],
    ...[
      'set confirm off',
      'set debuginfod enabled off',
      'set mi-async on',
      'set print frame-arguments all',
    ].flatMap((setting) => ['-iex', setting]),
  ]);
  private commands = 0;

  static async attach(pid: number, ...before: string[]): Promise<Gdb> {
    const gdb = new Gdb();
    try {
      for (const command of [...before, `attach ${pid}`]) await gdb.run(command);
      return gdb;
    } catch (error) {
      await gdb.end();
      throw error;
    }
  }

  /** Starts a program as cpptools does: its `setupCommands` word for word, then `-exec-run`. */
  static async launch(program: string, env: NodeJS.ProcessEnv, setupCommands: string[]): Promise<Gdb> {
    const gdb = new Gdb();
    try {
      await gdb.run(`file ${program}`);
      for (const [name, value] of Object.entries(env)) await gdb.run(`set environment ${name} ${value}`);
      for (const command of setupCommands) {
        const token = ++gdb.commands;
        gdb.dialogue.send(`${token}${command}`);
        await gdb.dialogue.until(new RegExp(`^${token}\\^done`));
      }
      const token = ++gdb.commands;
      gdb.dialogue.send(`${token}-exec-run`);
      await gdb.dialogue.until(new RegExp(`^${token}\\^running`));
      return gdb;
    } catch (error) {
      await gdb.end();
      throw error;
    }
  }

  /** A line that the program prints: into gdb's own output, as it was started by it. */
  async printed(line: RegExp): Promise<string> {
    return (await this.dialogue.until(line)).at(-1)!;
  }

  /** Why the process has stopped so far. */
  get stops(): string[] {
    return this.dialogue.lines.filter((line) => line.startsWith('*stopped'));
  }

  /** Ends the program with gdb. */
  async kill(): Promise<void> {
    await this.interrupt();
    await this.dialogue.end('-interpreter-exec console "kill"', '-gdb-exit');
  }

  /** A command of gdb's prompt; what it prints. It must succeed. */
  async run(command: string): Promise<string> {
    const token = ++this.commands;
    this.dialogue.send(`${token}-interpreter-exec console ${JSON.stringify(command)}`);
    const lines = await this.dialogue.until(new RegExp(`^${token}\\^`));
    const text = lines
      .filter((line) => /^[~&]"/.test(line))
      .map((line) => JSON.parse(line.slice(1).replace(/\\([0-7]{3})/g, '\\u0$1')) as string)
      .join('');
    if (/^\d+\^error/.test(lines.at(-1)!)) throw new Error(`gdb: ${command}: ${lines.at(-1)}`);
    return text;
  }

  /** Has only the runtime's thread run, and carry out the save that waits; what it says of that. */
  async serve(): Promise<string> {
    const selected = /^\[Current thread is (\d+)/m.exec(await this.run('thread'))![1]!;
    const runtime = /Thread (\d+) has target name/.exec(await this.run('thread find ^hot_fix$'))![1]!;
    for (const command of [`thread ${runtime}`, 'tbreak hot_fix_served', 'set scheduler-locking on'])
      await this.run(command);
    await this.resume();
    await this.stop();
    const said = await this.run('printf "%s\\n", (const char *) $rdi');
    for (const command of ['set scheduler-locking replay', `thread ${selected}`]) await this.run(command);
    return said;
  }

  /** Lets the process run; resolves when it does. */
  async resume(): Promise<void> {
    const token = ++this.commands;
    this.dialogue.send(`${token}-exec-continue`);
    await this.dialogue.until(new RegExp(`^${token}\\^running`));
  }

  /** The next time the process stops. */
  async stop(): Promise<Stop> {
    const record = (await this.dialogue.until(/^\*stopped/)).at(-1)!;
    return { reason: /reason="([^"]*)"/.exec(record)?.[1] ?? '', record };
  }

  async interrupt(): Promise<void> {
    this.dialogue.send(`${++this.commands}-exec-interrupt --all`);
    await this.stop();
  }

  /** Detaches: the process lives on. A process that runs is stopped first, lest it take our SIGINT for its own. */
  async end(): Promise<void> {
    const state = this.dialogue.lines.findLast((line) => /^\*(running|stopped)/.test(line));
    if (state?.startsWith('*running')) await this.interrupt();
    await this.dialogue.end('-target-detach', '-gdb-exit');
  }
}

export class Lldb {
  private readonly dialogue = new Dialogue('lldb', ['--no-lldbinit', '--no-use-colors']);
  private marks = 0;
  private running = false;

  private constructor(private readonly pid: number) {}

  /** The program is named before it is attached to: lldb 14 drops the symbol files of JITs when it only learns by
   * attaching which program it is. */
  static async attach(program: string, pid: number, ...before: string[]): Promise<Lldb> {
    const lldb = new Lldb(pid);
    try {
      await lldb.run(`target create ${program}`);
      lldb.dialogue.send(`process attach --pid ${pid}`);
      await lldb.stop();
      for (const command of before) await lldb.run(command);
      return lldb;
    } catch (error) {
      await lldb.end();
      throw error;
    }
  }

  /** A command of lldb's prompt; what it prints. It must succeed. */
  async run(command: string): Promise<string> {
    const text = await this.ask(command);
    const error = /^error: .*$/m.exec(text);
    if (error) throw new Error(`lldb: ${command}: ${error[0]}`);
    return text;
  }

  private async ask(command: string): Promise<string> {
    const mark = `mark-${++this.marks}`;
    this.dialogue.send(command);
    // Not a command: what lldb says about it comes after the answer.
    this.dialogue.send(mark);
    return (await this.dialogue.until(new RegExp(`'${mark}' is not a valid command`)))
      .slice(0, -1)
      .join('\n');
  }

  /** Has only the runtime's thread run, and carry out the save that waits; what it says of that. */
  async serve(): Promise<string> {
    const threads = await this.run('thread list');
    const selected = /^\* thread #(\d+)/m.exec(threads)![1]!;
    await this.run(`thread select ${/thread #(\d+): .*name = 'hot_fix'/.exec(threads)![1]!}`);
    const said = await this.run(
      'expression --all-threads false --unwind-on-error false --ignore-breakpoints false -- (const char *) hot_fix_serve()',
    );
    await this.run(`thread select ${selected}`);
    return said;
  }

  /** Lets the process run; resolves when it does. */
  async resume(): Promise<void> {
    this.dialogue.send('process continue');
    await this.dialogue.until(/Process \d+ resuming/);
    this.running = true;
  }

  /** Runs on to the next line; why it stopped, in lldb's words. */
  next(): Promise<string> {
    this.dialogue.send('next');
    return this.stop();
  }

  /** Runs on until the current function has returned; why it stopped, in lldb's words. */
  finish(): Promise<string> {
    this.dialogue.send('finish');
    return this.stop();
  }

  /** The next time the process stops; why. */
  async stop(): Promise<string> {
    const reason = (await this.dialogue.until(/stop reason = /)).at(-1)!;
    this.running = false;
    // Threads that stopped with it are told in the same breath.
    await this.run('process status');
    return reason;
  }

  /**
   * Detaches: the process lives on. lldb refuses to interrupt a process of which it has not yet heard that it runs. And
   * lldb 14 may leave it stopped: of the SIGSTOPs by which it holds the threads, one that is taken after the detach stops
   * all of them (seen in /proc: state T, no tracer).
   */
  async end(): Promise<void> {
    while (this.running) {
      this.dialogue.send('process interrupt');
      this.running = /Process \d+ is running/.test(await this.ask('process status'));
    }
    await this.dialogue.end('process detach', 'quit');
    try {
      const status = () => readFileSync(`/proc/${this.pid}/status`, 'utf8');
      await until(status, (text) => /^TracerPid:\s*0$/m.test(text));
      process.kill(this.pid, 'SIGCONT');
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}
