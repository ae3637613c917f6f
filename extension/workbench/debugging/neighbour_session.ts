// A debug session of another extension on one of our processes. Two things are done for it: its debugger passes the
// runtime's signal on without stopping, and a save that waits at a breakpoint is carried out there, where the debugger
// can have the runtime do that. And its debugger can be told to bring the runtime in (commands/attach.ts).
import { readFileSync } from 'node:fs';
import type * as vscode from 'vscode';
import { LIST_THREADS, selectThread, SERVE, threadsIn } from '../../debug/serve_at_stop';
import {
  configuredPid,
  isStopBy,
  passCommand,
  processOf,
  speechOf,
  USUAL_SIGNAL,
  type Stopped,
} from '../../debug/signal_pass';
import type { PatchableProcess } from '../../engine/model/result';
import type { AskedDebugger } from '../session/debuggers';
import type { Session } from '../session/session';
import type { State } from '../state/state';

interface FromAdapter {
  type: string;
  event?: string;
  body?: Stopped & { systemProcessId?: number };
}

/** Requests of DAP that have the process go on. */
const GOES_ON = /^(continue|next|step\w*|reverse\w*|goto|restart\w*|disconnect|terminate)$/i;

/** Reasons of a stop at a place that the user chose. */
const CHOSEN_PLACE = /breakpoint|step|goto/;

export class NeighbourSession implements vscode.DebugAdapterTracker {
  private readonly speech;
  private readonly passed = new Set<number>();
  private readonly tried = new Set<number>();
  private readonly watch: vscode.Disposable;
  private announced: number | undefined;
  /** Counts how often the process stopped or went on. */
  private changes = 0;
  /** The change that was the user's stop at which the process stands; undefined while it runs, or stands for us. */
  private stop: number | undefined;
  /** The save and the stop for which the runtime was called last: it is called once. */
  private served = '';
  /** The thread that stands at a breakpoint. */
  private breakpointThread: number | undefined;
  private readonly asked: AskedDebugger | undefined;

  constructor(
    private readonly session: Session,
    private readonly debugSession: vscode.DebugSession,
  ) {
    this.speech = speechOf(debugSession.type, debugSession.configuration);
    this.watch = session.store.subscribe((state) => {
      this.passOnceKnown(state);
      this.serveWhatWaits(state);
    });
    if (!this.speech) return;
    this.asked = {
      name: this.speech.debugger,
      has: (pid) => (this.announced ?? configuredPid(debugSession.configuration)) === pid,
      tellAtBreakpoint: async (command) => {
        const threadId = this.breakpointThread;
        return threadId === undefined ? undefined : this.evaluate(command, await this.topFrame(threadId));
      },
    };
    session.debuggers.add(this.asked);
  }

  onWillReceiveMessage({ command }: { command?: string }): void {
    if (command !== undefined && GOES_ON.test(command)) this.goesOn();
  }

  onDidSendMessage({ type, event, body }: FromAdapter): void {
    if (type !== 'event') return;
    if (event === 'process') {
      this.announced = body?.systemProcessId;
      if (this.announced !== undefined && this.debugSession.configuration.request === 'launch')
        this.session.launches.debugged(this.announced, this.debugSession);
    }
    if (event === 'initialized') this.attempt(this.pass(USUAL_SIGNAL));
    if (event === 'continued') this.goesOn();
    if (event === 'stopped' && body) {
      this.breakpointThread = CHOSEN_PLACE.test(body.reason) ? body.threadId : undefined;
      this.attempt(this.stopped(body));
    }
  }

  private goesOn(): void {
    this.changes++;
    this.stop = undefined;
    this.breakpointThread = undefined;
  }

  onExit(): void {
    this.ended();
  }

  onWillStopSession(): void {
    this.ended();
  }

  private ended(): void {
    this.watch.dispose();
    if (this.asked) this.session.debuggers.delete(this.asked);
  }

  private processIn(processes: readonly PatchableProcess[]): PatchableProcess | undefined {
    return processOf(this.debugSession.configuration, this.announced, processes, tracerOf);
  }

  private attempt(work: Promise<void>, failed = 'was not told about the runtime'): void {
    void work.catch((error: unknown) =>
      this.session.log.info(`${this.debugSession.type} ${failed}: ${String(error)}`),
    );
  }

  /** What the debugger says to a command of its own. */
  private async evaluate(command: string, frameId?: number): Promise<string> {
    const expression = this.speech!.prefix + command;
    const context = { context: 'repl', ...(frameId !== undefined && { frameId }) };
    const { result } = (await this.debugSession.customRequest('evaluate', { expression, ...context })) as {
      result: string;
    };
    this.session.log.info(`${this.debugSession.type}: ${expression}`);
    return result;
  }

  private async topFrame(threadId: number): Promise<number | undefined> {
    const top = { threadId, startFrame: 0, levels: 1 };
    const { stackFrames } = (await this.debugSession.customRequest('stackTrace', top)) as {
      stackFrames: { id: number }[];
    };
    return stackFrames[0]?.id;
  }

  /** Tells the debugger to pass the runtime's signal on: before the program runs the usual one; that of the process as
   * soon as its runtime is known, and again at a stop, for those debuggers that take no commands while it runs.
   * @param frame MIEngine wants one that it has shown; others do without */
  private async pass(signal: number, frame?: () => Promise<number | undefined>): Promise<void> {
    if (this.passed.has(signal) || !this.speech) return;
    await this.evaluate(passCommand(this.speech.debugger, signal), await frame?.());
    this.passed.add(signal);
  }

  private passOnceKnown({ processes = [] }: State): void {
    const process = this.processIn(processes);
    if (!process?.runtime || this.tried.has(process.runtime.signal)) return;
    this.tried.add(process.runtime.signal);
    this.attempt(this.pass(process.runtime.signal));
  }

  /** A stop that was for the runtime's signal is undone. At another one a save is carried out that waits for it. */
  private async stopped(stopped: Stopped): Promise<void> {
    const change = ++this.changes;
    this.stop = undefined;
    const process = this.processIn(await this.session.engine.processes());
    if (!process?.runtime) return;
    const { signal, workerTid } = process.runtime;
    const threadId = stopped.threadId ?? process.pid;
    const isOurs = isStopBy(signal, stopped, workerTid);
    try {
      await this.pass(signal, () => this.topFrame(threadId));
    } finally {
      // Also where the debugger took no command: nobody else knows that this stop is not the user's.
      if (isOurs) await this.debugSession.customRequest('continue', { threadId });
      else if (this.changes === change) {
        this.stop = change;
        this.serveWhatWaits(this.session.store.state);
      }
    }
  }

  /** gdb is not asked: its calls into a process fail on some processors (docs/RUNTIME.md), and to let one thread run its
   * session would have to show a stop that nobody asked for. There the save waits until the process goes on. */
  private serveWhatWaits({ operation, processes = [] }: State): void {
    if (this.speech?.debugger !== 'lldb' || this.stop === undefined) return;
    if (operation?.step !== 'wait-for-debugger') return;
    const process = this.processIn(processes);
    if (!process?.runtime || operation.pid !== process.pid) return;
    const turn = `${operation.id} at ${this.stop}`;
    if (this.served === turn) return;
    this.served = turn;
    // When the user continues in this moment the debugger takes no command: the save waits for the next stop.
    this.attempt(this.serve(process.runtime.workerTid), 'did not have the save carried out at this stop');
  }

  private async serve(workerTid: number): Promise<void> {
    const threads = threadsIn(await this.evaluate(LIST_THREADS), workerTid);
    if (!threads) return;
    await this.evaluate(selectThread(threads.worker));
    try {
      this.session.log.info(`hot_fix_serve: ${await this.evaluate(SERVE)}`);
    } finally {
      await this.evaluate(selectThread(threads.selected));
    }
  }
}

/** The tracer of a process, 0 when it has none. */
export function tracerOf(pid: number): number {
  try {
    return Number(/^TracerPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it has ended
  }
}
