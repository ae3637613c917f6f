// The debug adapter of type `hotPatch`: a session of a program that is patched while it runs, from its start to its end.
// It starts or attaches, shows output, tells what is new, and takes console commands; what the process looks like to a
// client is shown_process.ts. It is no debugger and never traces the program, so gdb or lldb can be used at the same
// time. No vscode: it runs inside the editor and as a server.
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import {
  Event,
  ExitedEvent,
  InitializedEvent,
  LoadedSourceEvent,
  ModuleEvent,
  StoppedEvent,
  TerminatedEvent,
  ThreadEvent,
} from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { hintFor } from '../engine/model/errors';
import type { PatchResult, ProcessStatus } from '../engine/model/result';
import { complete, HELP, runLine } from './console';
import {
  attachTo,
  mergedEnvironment,
  startInTerminal,
  startWithPipes,
  withLineBuffering,
  type Debuggee,
} from './debuggee';
import type { FunctionVersions, PatchAccess } from './patch_access';
import { nothingPatched, ShownProcess } from './shown_process';
import { programCounter, readThreads } from './threads';
import { liveFiles, modulesOf, sourceOf, sourcesOf } from './trampolines';

export interface LaunchArguments extends DebugProtocol.LaunchRequestArguments {
  program: string;
  args?: string[];
  cwd?: string;
  env?: Record<string, string | null>;
  console?: 'internalConsole' | 'integratedTerminal' | 'externalTerminal';
  /** File for standard input. */
  stdin?: string;
  /** `embedded`: the program has the runtime built in; nothing is preloaded. */
  runtime?: 'preload' | 'embedded';
}

export interface AttachArguments extends DebugProtocol.AttachRequestArguments {
  processId: number | string;
}

/** Custom events, for other extensions: the result of each patch of this process, and its status after each change. */
const resultEvent = 'hotPatch.result';
const statusEvent = 'hotPatch.status';

/** How often the process is looked at for patches of others and for threads, milliseconds. */
const LOOK_INTERVAL = 300;
/** How long the runtime may take to appear in a new process, milliseconds. */
const RUNTIME_PATIENCE = 10_000;
/** How long a program may take to end after SIGTERM before it is killed, milliseconds. */
const END_PATIENCE = 3_000;
export class HotPatchDebugSession extends ShownProcess {
  private launched: LaunchArguments | undefined;
  private threads = new Set<number>();
  private paused = false;
  private terminating = false;
  private restarting = false;
  private finished = false;
  private clientRunsTerminals = false;
  private stopListening: () => void;

  constructor(private readonly access: PatchAccess) {
    super();
    this.setDebuggerLinesStartAt1(true);
    this.setDebuggerColumnsStartAt1(true);
    this.stopListening = access.onResult((result) => this.tellResult(result));
  }

  // --- beginning -------------------------------------------------------------------------------------------------

  protected override initializeRequest(
    response: DebugProtocol.InitializeResponse,
    args: DebugProtocol.InitializeRequestArguments,
  ): void {
    this.clientRunsTerminals = args.supportsRunInTerminalRequest === true;
    response.body = {
      supportsConfigurationDoneRequest: true,
      supportsTerminateRequest: true,
      supportTerminateDebuggee: true,
      supportsRestartRequest: true,
      supportsModulesRequest: true,
      supportsLoadedSourcesRequest: true,
      supportsReadMemoryRequest: true,
      supportsDisassembleRequest: true,
      supportsCompletionsRequest: true,
      completionTriggerCharacters: [' ', '/'],
    };
    this.sendResponse(response);
    this.sendEvent(new InitializedEvent());
  }

  protected override launchRequest(response: DebugProtocol.LaunchResponse, args: LaunchArguments): void {
    this.answer(response, async () => {
      this.launched = args;
      await this.startProgram(args);
    });
  }

  protected override attachRequest(response: DebugProtocol.AttachResponse, args: AttachArguments): void {
    this.answer(response, async () => {
      const pid = Number(args.processId);
      const process = (await this.access.processes()).find((candidate) => candidate.pid === pid);
      if (!process) throw new Error(`There is no process ${args.processId}.`);
      if (!process.runtime)
        throw new Error(`${process.exe} (process ${pid}) has no runtime in it. ${hintFor('no-runtime')}`);
      this.follow(attachTo(pid), process.name);
    });
  }

  private async startProgram(args: LaunchArguments): Promise<void> {
    const start = {
      program: args.program,
      args: args.args ?? [],
      cwd: args.cwd ?? dirname(args.program),
      env: args.env ?? {},
      stdin: args.stdin,
    };
    if (!statSync(start.program, { throwIfNoEntry: false })?.isFile())
      throw new Error(`${start.program} is not there: build it first.`);
    const base = mergedEnvironment(process.env, start.env);
    const env = args.runtime === 'embedded' ? base : await this.access.runEnvironment(base, start.program);
    const where = args.console ?? 'internalConsole';
    if (where === 'internalConsole') {
      const piped = withLineBuffering(env);
      this.follow(
        await startWithPipes(start, piped, (category, text) => this.say(text, category)),
        start.program,
      );
      return;
    }
    if (!this.clientRunsTerminals)
      throw new Error('This client opens no terminals: use "console": "internalConsole".');
    const added = Object.entries(env).filter(([name, value]) => value !== process.env[name]);
    const variables = Object.fromEntries(added.map(([name, value]) => [name, value ?? '']));
    const open = (argv: string[]) => this.openTerminal(where, start.cwd, start.program, argv);
    this.follow(await startInTerminal(start, variables, open), start.program);
  }

  private openTerminal(
    where: 'integratedTerminal' | 'externalTerminal',
    cwd: string,
    title: string,
    args: string[],
  ): Promise<void> {
    const kind = where === 'externalTerminal' ? 'external' : 'integrated';
    return new Promise((resolve, reject) => {
      this.runInTerminalRequest({ kind, title, cwd, args }, 60_000, (response) =>
        response.success ? resolve() : reject(new Error(`The terminal was not opened: ${response.message}`)),
      );
    });
  }

  // --- while it runs -----------------------------------------------------------------------------------------------

  /** From here on the session is about that process. */
  private follow(debuggee: Debuggee, name: string): void {
    this.debuggee = debuggee;
    this.status = nothingPatched(debuggee.pid);
    this.threads.clear();
    this.paused = false;
    const startMethod = this.launched ? 'launch' : 'attach';
    this.sendEvent(
      new Event('process', {
        name,
        systemProcessId: debuggee.pid,
        isLocalProcess: true,
        startMethod,
        pointerSize: 64,
      }),
    );
    void debuggee.ended.then((exitStatus) => {
      if (this.debuggee !== debuggee || this.restarting) return;
      this.debuggee = undefined;
      this.finish(exitStatus);
    });
    this.watch(debuggee).catch((error: unknown) => this.say(`${String(error)}\n`, 'important'));
  }

  private finish(exitStatus: number | undefined): void {
    if (this.finished) return;
    this.finished = true;
    this.stopListening();
    if (exitStatus !== undefined) this.sendEvent(new ExitedEvent(exitStatus));
    this.sendEvent(new TerminatedEvent());
  }

  /** Until another process takes its place or the session ends. */
  private async watch(debuggee: Debuggee): Promise<void> {
    const isOurs = () => this.debuggee === debuggee && !this.finished;
    const hasRuntime = await this.awaitRuntime(debuggee, isOurs);
    if (!hasRuntime && isOurs())
      this.say(`No runtime has come up in process ${debuggee.pid}. ${hintFor('no-runtime')}\n`, 'important');
    while (isOurs()) {
      this.tellThreads(debuggee.pid);
      if (hasRuntime) await this.look().catch(() => undefined); // between its end and our hearing of it
      await setTimeout(LOOK_INTERVAL);
    }
  }

  private async awaitRuntime({ pid }: Debuggee, isOurs: () => boolean): Promise<boolean> {
    for (let waited = 0; isOurs() && waited < RUNTIME_PATIENCE; waited += LOOK_INTERVAL) {
      // A look that fails, because another process ends at that moment, is followed by the next.
      const processes = await this.access.processes().catch(() => []);
      if (processes.find((candidate) => candidate.pid === pid)?.runtime) return true;
      await setTimeout(LOOK_INTERVAL);
    }
    return false;
  }

  private tellThreads(pid: number): void {
    const now = new Set(readThreads(pid).map(({ id }) => id));
    for (const id of now) if (!this.threads.has(id)) this.sendEvent(new ThreadEvent('started', id));
    for (const id of this.threads) if (!now.has(id)) this.sendEvent(new ThreadEvent('exited', id));
    this.threads = now;
  }

  /** Reads the status; tells the client what is new in it. */
  private async look(refresh = false): Promise<ProcessStatus> {
    const { pid } = this;
    const status = await this.access.status(pid, { refresh });
    const before = this.status;
    if (this.debuggee?.pid !== pid || status.sequence <= before.sequence) return status;
    this.status = status;
    const known = new Map(modulesOf(before).map((module) => [module.id, module]));
    const present = modulesOf(status);
    for (const module of present) {
      const old = known.get(module.id);
      if (!old) this.sendEvent(new ModuleEvent('new', module));
      else if (old.version !== module.version) this.sendEvent(new ModuleEvent('changed', module));
    }
    for (const [id, module] of known)
      if (!present.some((one) => one.id === id)) this.sendEvent(new ModuleEvent('removed', module));
    const sources = sourcesOf(before);
    for (const file of sourcesOf(status))
      if (!sources.includes(file)) this.sendEvent(new LoadedSourceEvent('new', sourceOf(file)));
    this.sendEvent(new Event(statusEvent, status));
    return status;
  }

  private tellResult(result: PatchResult): void {
    const pid = this.debuggee?.pid;
    const concerned =
      result.processes.some((process) => process.pid === pid) ||
      result.refusals.some((problem) => problem.pid === pid);
    if (pid === undefined || !concerned) return;
    this.sendEvent(new Event(resultEvent, result));
    this.look().catch(() => undefined); // the next look tells
  }

  // --- ending ------------------------------------------------------------------------------------------------------

  protected override terminateRequest(response: DebugProtocol.TerminateResponse): void {
    this.terminating = true;
    this.debuggee?.signal('SIGTERM');
    this.continueProcess();
    this.sendResponse(response);
  }

  protected override disconnectRequest(
    response: DebugProtocol.DisconnectResponse,
    args: DebugProtocol.DisconnectArguments,
  ): void {
    this.answer(response, async () => {
      const { debuggee } = this;
      const ends = args?.terminateDebuggee ?? this.launched !== undefined;
      this.finished = true;
      this.stopListening();
      if (!debuggee) return;
      if (ends) await this.end(debuggee, this.terminating ? 'SIGKILL' : 'SIGTERM');
      else {
        this.continueProcess();
        debuggee.release();
      }
      this.debuggee = undefined;
    });
  }

  /** The client is gone: a program that it launched goes with it. */
  override dispose(): void {
    const { debuggee } = this;
    this.finished = true;
    this.stopListening();
    this.debuggee = undefined;
    if (!debuggee) return;
    if (this.paused) debuggee.signal('SIGCONT');
    if (this.launched) debuggee.signal('SIGTERM');
    else debuggee.release();
  }

  private async end(debuggee: Debuggee, signal: NodeJS.Signals): Promise<void> {
    debuggee.signal(signal);
    this.continueProcess();
    const patience = new AbortController();
    const late = setTimeout(END_PATIENCE, 'late', { signal: patience.signal }).catch(() => 'ended');
    if ((await Promise.race([debuggee.ended, late])) === 'late') debuggee.signal('SIGKILL');
    await debuggee.ended;
    patience.abort();
  }

  protected override restartRequest(
    response: DebugProtocol.RestartResponse,
    args: DebugProtocol.RestartArguments,
  ): void {
    this.answer(response, async () => {
      const again = {
        ...this.launched,
        ...args?.arguments,
      } as LaunchArguments;
      if (!this.launched)
        throw new Error('A program that was attached to is started again where it was started.');
      this.launched = again;
      const { debuggee } = this;
      const files = debuggee ? liveFiles(await this.look()) : [];
      const before = debuggee && buildOf(`/proc/${debuggee.pid}/exe`);
      this.restarting = true;
      try {
        if (debuggee) await this.end(debuggee, 'SIGTERM');
        await this.startProgram(again);
      } catch (error) {
        this.finish(undefined);
        throw error;
      } finally {
        this.restarting = false;
      }
      if (files.length === 0 || !this.access.bringsOver()) return;
      if (before !== buildOf(`/proc/${this.pid}/exe`)) {
        this.say(`The program was built again: it has the changes of ${files.join(', ')} by itself.\n`);
        return;
      }
      this.bringOver(this.debuggee!, files).catch((error: unknown) =>
        this.say(`Patched code of ${files.join(', ')} was not brought over: ${String(error)}\n`, 'important'),
      );
    });
  }

  /** The same program, started again: what was live before is made live again, from the files as they are now. */
  private async bringOver(debuggee: Debuggee, files: string[]): Promise<void> {
    if (!(await this.awaitRuntime(debuggee, () => this.debuggee === debuggee))) return;
    const result = await this.access.patch(files, debuggee.pid, 'bring-over');
    const what =
      result.outcome === 'patched' ? 'was brought over' : `was not brought over: ${result.outcome}`;
    this.say(`Patched code of ${files.join(', ')} ${what}.\n`);
  }

  // --- pause: the process is stopped, as by Ctrl+Z, and never traced -----------------------------------------------

  protected override pauseRequest(response: DebugProtocol.PauseResponse): void {
    this.answer(response, async () => {
      process.kill(this.pid, 'SIGSTOP');
      this.paused = true;
      // Threads come to a halt one by one; until then they have no place.
      const threads = () => readThreads(this.pid).map(({ id }) => programCounter(this.pid, id));
      for (let looks = 0; looks < 100 && threads().includes(undefined); looks++) await setTimeout(5);
      this.frames.clear();
      const event = new StoppedEvent('pause', this.pid);
      Object.assign(event.body, { allThreadsStopped: true });
      this.sendEvent(event);
    });
  }

  protected override continueRequest(response: DebugProtocol.ContinueResponse): void {
    response.body = { allThreadsContinued: true };
    this.continueProcess();
    this.sendResponse(response);
  }

  private continueProcess(): void {
    if (this.paused) this.debuggee?.signal('SIGCONT');
    this.paused = false;
  }

  // --- console -----------------------------------------------------------------------------------------------------

  protected override evaluateRequest(
    response: DebugProtocol.EvaluateResponse,
    { expression, context }: DebugProtocol.EvaluateArguments,
  ): void {
    this.answer(response, async () => {
      if (context !== 'repl') throw new Error(`Hot Patch evaluates no expressions. In the console:\n${HELP}`);
      const { pid } = this;
      const result = await runLine(expression, {
        directory: this.directory,
        status: (refresh) => this.look(refresh && !this.paused),
        patch: (files) => this.access.patch(files, pid, 'patch'),
        revert: (functions) => this.access.revert(pid, functions),
        send: this.debuggee?.send,
      });
      response.body = { result: result.trimEnd(), variablesReference: 0 };
    });
  }

  protected override completionsRequest(
    response: DebugProtocol.CompletionsResponse,
    { text, column }: DebugProtocol.CompletionsArguments,
  ): void {
    const found = complete(text.slice(0, column - 1), this.directory, this.status.functions);
    response.body = {
      targets: found.map(({ label, length, kind }) => ({
        label,
        type: kind,
        start: column - 1 - length,
        length,
      })),
    };
    this.sendResponse(response);
  }

  private get directory(): string {
    return this.launched ? (this.launched.cwd ?? dirname(this.launched.program)) : process.cwd();
  }

  /** `modules`, which the base class does not know; and for other clients and extensions the same as in the console,
   * with the whole result. */
  protected override customRequest(
    command: string,
    response: DebugProtocol.Response,
    args: { files?: string[]; functions?: FunctionVersions } | undefined,
  ): void {
    this.answer(response, async () => {
      if (command === 'modules') {
        const modules = modulesOf(this.status);
        response.body = { modules, totalModules: modules.length };
      } else if (command === 'hotPatch.patch')
        response.body = await this.access.patch(args?.files ?? [], this.pid, 'patch');
      else if (command === 'hotPatch.revert')
        response.body = await this.access.revert(this.pid, args?.functions ?? 'all');
      else if (command === 'hotPatch.status') response.body = await this.look(!this.paused);
      else throw new Error(`There is no request ${command}.`);
    });
  }
}

/** Same file, same content: device, inode, time of change. */
function buildOf(path: string): string | undefined {
  try {
    const { dev, ino, mtimeMs } = statSync(path);
    return `${dev}:${ino}:${mtimeMs}`;
  } catch {
    return undefined;
  }
}
