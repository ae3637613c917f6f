// Joins the debug adapter (extension/debug) to VS Code: the inline adapter, configurations for the programs that were
// built, the process picker, and the tracker that keeps other debuggers' sessions from stopping at the runtime's signal.
import { basename } from 'node:path';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { HotPatchDebugSession } from '../../debug/adapter';
import type { PatchAccess } from '../../debug/patch_access';
import {
  foreignDebugTypes,
  isStopBy,
  passExpression,
  processOf,
  USUAL_SIGNAL,
  withPassSetup,
  type Stopped,
} from '../../debug/signal_pass';
import type { PatchableProcess } from '../../engine/model/result';
import { debugType, Setting } from '../contributions';
import { builtPrograms } from '../session/built_programs';
import type { Session } from '../session/session';
import { setting } from '../settings';

export interface Debugging extends vscode.Disposable {
  /** Is the process one that a session of ours started? */
  isOf(pid: number): boolean;
}

interface AdapterMessage {
  event?: string;
  body?: { systemProcessId?: number; startMethod?: string; exitCode?: number };
}

export function registerDebugging(session: Session): Debugging {
  const started = new Set<number>();
  const watchStarts: vscode.DebugAdapterTrackerFactory = {
    createDebugAdapterTracker: (debugSession) => {
      let pid: number | undefined;
      return {
        onDidSendMessage: ({ event, body }: AdapterMessage) => {
          if (event === 'exited' && pid !== undefined && body?.exitCode !== undefined)
            session.launches.exited(pid, body.exitCode);
          if (event !== 'process' || body?.startMethod !== 'launch') return;
          pid = body.systemProcessId!;
          started.add(pid);
          session.launches.debugged(pid, debugSession);
        },
      };
    },
  };
  const { Initial, Dynamic } = vscode.DebugConfigurationProviderTriggerKind;
  const provider = configurations(session);
  const registered = vscode.Disposable.from(
    vscode.debug.registerDebugAdapterDescriptorFactory(debugType, {
      createDebugAdapterDescriptor: () =>
        new vscode.DebugAdapterInlineImplementation(new HotPatchDebugSession(accessOf(session))),
    }),
    vscode.debug.registerDebugConfigurationProvider(debugType, provider, Initial),
    vscode.debug.registerDebugConfigurationProvider(debugType, provider, Dynamic),
    vscode.debug.registerDebugAdapterTrackerFactory(debugType, watchStarts),
    vscode.debug.registerDebugConfigurationProvider('cppdbg', passFromTheBeginning(session)),
    ...foreignDebugTypes.map((type) =>
      vscode.debug.registerDebugAdapterTrackerFactory(type, {
        createDebugAdapterTracker: (debugSession: vscode.DebugSession) => passSignal(session, debugSession),
      }),
    ),
  );
  return { isOf: (pid) => started.has(pid), dispose: () => void registered.dispose() };
}

/** Patches of a debug session go the way of a save, so that every view sees them. */
function accessOf(session: Session): PatchAccess {
  return {
    processes: () => session.engine.processes(),
    status: (pid, options) => session.engine.status(pid, options),
    runEnvironment: (base, program) => session.engine.runEnvironment(base, program),
    bringsOver: () => setting(Setting.bringOver) !== 'never',
    patch: (files, pid, reason) => session.operations.patch({ action: reason, files, pids: [pid] }),
    revert: (pid, functions) => session.operations.revert('revert', [{ pid, functions }]),
    onResult: (listener) => session.operations.onResult(listener),
  };
}

function configurations(session: Session): vscode.DebugConfigurationProvider {
  const configurationOf = (program: string): vscode.DebugConfiguration => ({
    type: debugType,
    request: 'launch',
    name: `Hot Patch: ${basename(program)}`,
    program,
    cwd: '${workspaceFolder}',
  });
  const attach: vscode.DebugConfiguration = {
    type: debugType,
    request: 'attach',
    name: 'Hot Patch: Attach',
    processId: '${command:pickProcess}',
  };
  return {
    provideDebugConfigurations: async (folder) => {
      const programs = await builtPrograms(session.databases);
      const inFolder = (program: string) =>
        folder && program.startsWith(`${folder.uri.fsPath}/`)
          ? program.replace(folder.uri.fsPath, '${workspaceFolder}')
          : program;
      return [...programs.map((program) => configurationOf(inFolder(program))), attach];
    },
    /** F5 without a launch.json: the program that was built, or a choice of them. */
    resolveDebugConfiguration: async (_folder, configuration) => {
      if (configuration.type || configuration.request || configuration.name) return configuration;
      const programs = await builtPrograms(session.databases);
      const items = programs.map((program) => ({
        label: basename(program),
        description: vscode.workspace.asRelativePath(program),
        program,
      }));
      const chosen =
        items.length < 2
          ? items[0]
          : await vscode.window.showQuickPick(items, { title: 'Program to start with Hot Patch' });
      if (chosen) return configurationOf(chosen.program);
      if (items.length === 0)
        void vscode.window.showInformationMessage(
          'Hot Patch found no program: build one, then press F5 again.',
        );
      return undefined;
    },
  };
}

/** Command hotPatch.pickProcess: those that have the runtime, the workspace's first. */
export async function pickProcess(session: Session): Promise<string | undefined> {
  const found = async () => {
    const processes = (await session.engine.processes()).filter(({ runtime }) => runtime !== undefined);
    await session.processes.look();
    const ours = new Set((session.store.state.processes ?? []).map(({ pid }) => pid));
    const items = (listed: typeof processes) =>
      listed.map(({ pid, name, commandLine, exe }) => ({
        label: name,
        description: String(pid),
        detail: commandLine.join(' ') || exe,
      }));
    const others = processes.filter(({ pid }) => !ours.has(pid));
    const separator = { label: 'Not of this workspace', kind: vscode.QuickPickItemKind.Separator };
    return [
      ...items(processes.filter(({ pid }) => ours.has(pid))),
      ...(others.length > 0 ? [separator, ...items(others)] : []),
    ];
  };
  const chosen: vscode.QuickPickItem | undefined = await vscode.window.showQuickPick(found(), {
    title: 'Process to attach to',
    placeHolder: 'Processes that have the hot_fix runtime',
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return chosen?.description;
}

/** Sessions of cpptools begin with the signal passed on. */
function passFromTheBeginning(session: Session): vscode.DebugConfigurationProvider {
  return {
    resolveDebugConfigurationWithSubstitutedVariables: async (_folder, configuration) => {
      const processes = await session.engine.processes();
      const attached = processOf(configuration, undefined, processes, tracerOf);
      return withPassSetup(configuration, attached?.runtime?.signal ?? USUAL_SIGNAL);
    },
  };
}

/** Tells the debugger to pass the runtime's signal on: before the program runs the usual one; that of the process as
 * soon as its runtime is known, and again at a stop, for those debuggers that take no commands while it runs. A stop
 * that was for that signal is undone. */
function passSignal(session: Session, debugSession: vscode.DebugSession): vscode.DebugAdapterTracker {
  const { type, configuration } = debugSession;
  const passed = new Set<number>();
  const tried = new Set<number>();
  let announced: number | undefined;
  const processIn = (processes: readonly PatchableProcess[]) =>
    processOf(configuration, announced, processes, tracerOf);

  /** @param frame MIEngine wants one that it has shown; others do without */
  const pass = async (signal: number, frame?: () => Promise<number | undefined>): Promise<void> => {
    const expression = passExpression(type, configuration, signal);
    if (passed.has(signal) || expression === undefined) return;
    const frameId = await frame?.();
    const context = { context: 'repl', ...(frameId !== undefined && { frameId }) };
    await debugSession.customRequest('evaluate', { expression, ...context });
    passed.add(signal);
    session.log.info(`${type}: ${expression}`);
  };
  const passAtStop = async (stopped: Stopped): Promise<void> => {
    const process = processIn(await session.engine.processes());
    if (!process?.runtime) return;
    const { signal, workerTid } = process.runtime;
    const threadId = stopped.threadId ?? process.pid;
    try {
      await pass(signal, async () => {
        const top = { threadId, startFrame: 0, levels: 1 };
        const { stackFrames } = (await debugSession.customRequest('stackTrace', top)) as {
          stackFrames: { id: number }[];
        };
        return stackFrames[0]?.id;
      });
    } finally {
      // Also where the debugger took no command: nobody else knows that this stop is not the user's.
      if (isStopBy(signal, stopped, workerTid)) await debugSession.customRequest('continue', { threadId });
    }
  };
  const attempt = (work: Promise<void>): void =>
    void work.catch((error: unknown) =>
      session.log.info(`${type} was not told about the runtime's signal: ${String(error)}`),
    );

  const watch = session.store.subscribe(({ processes = [] }) => {
    const process = processIn(processes);
    if (!process?.runtime || tried.has(process.runtime.signal)) return;
    tried.add(process.runtime.signal);
    attempt(pass(process.runtime.signal));
  });
  return {
    onDidSendMessage: (message: {
      type: string;
      event?: string;
      body?: Stopped & { systemProcessId?: number };
    }) => {
      if (message.type !== 'event') return;
      if (message.event === 'process') {
        announced = message.body?.systemProcessId;
        if (announced !== undefined && configuration.request === 'launch')
          session.launches.debugged(announced, debugSession);
      }
      if (message.event === 'initialized') attempt(pass(USUAL_SIGNAL));
      if (message.event === 'stopped' && message.body) attempt(passAtStop(message.body));
    },
    onExit: () => watch.dispose(),
    onWillStopSession: () => watch.dispose(),
  };
}

function tracerOf(pid: number): number {
  try {
    return Number(/^TracerPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it has ended
  }
}
