// The debug adapter's place in VS Code, and the only file of this folder that acts on it: the inline adapter,
// configurations for the programs that were built, the process picker, and the tracker that keeps other debuggers'
// sessions from stopping at the runtime's signal.
import { basename } from 'node:path';
import { readFileSync } from 'node:fs';
import * as vscode from 'vscode';
import { builtPrograms } from '../workbench/commands/start_program';
import { debugType } from '../workbench/contributions';
import type { Session } from '../workbench/session/session';
import { HotPatchDebugSession } from './adapter';
import type { PatchAccess } from './patch_access';
import { foreignDebugTypes, isStopBy, passExpression, processOf, type Stopped } from './signal_pass';

export interface Debugging extends vscode.Disposable {
  /** Is the process one that a session of ours started? */
  isOf(pid: number): boolean;
}

export function registerDebugging(session: Session): Debugging {
  const started = new Set<number>();
  const watchStarts: vscode.DebugAdapterTrackerFactory = {
    createDebugAdapterTracker: () => ({
      onDidSendMessage: (message: {
        event?: string;
        body?: { systemProcessId?: number; startMethod?: string };
      }) => {
        if (message.event === 'process' && message.body?.startMethod === 'launch')
          started.add(message.body.systemProcessId!);
      },
    }),
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
    runEnvironment: (base) => session.engine.runEnvironment(base),
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
      const programs = await builtPrograms(session);
      const inFolder = (program: string) =>
        folder && program.startsWith(`${folder.uri.fsPath}/`)
          ? program.replace(folder.uri.fsPath, '${workspaceFolder}')
          : program;
      return [...programs.map((program) => configurationOf(inFolder(program))), attach];
    },
    /** F5 without a launch.json: the program that was built, or a choice of them. */
    resolveDebugConfiguration: async (_folder, configuration) => {
      if (configuration.type || configuration.request || configuration.name) return configuration;
      const programs = await builtPrograms(session);
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
    return processes.map(({ pid, name, commandLine, exe }) => ({
      label: name,
      description: String(pid),
      detail: commandLine.join(' ') || exe,
    }));
  };
  const chosen = await vscode.window.showQuickPick(found(), {
    title: 'Process to attach to',
    placeHolder: 'Processes that have the hot_fix runtime',
    matchOnDescription: true,
    matchOnDetail: true,
  });
  return chosen?.description;
}

/** Tells the debugger to pass the runtime's signal on as soon as the process is known: when it is attached to, or at
 * the first stop; a stop that was for that signal is undone. */
function passSignal(session: Session, debugSession: vscode.DebugSession): vscode.DebugAdapterTracker {
  const { type, configuration } = debugSession;
  let announced: number | undefined;
  let told: number | undefined;
  const tell = async (stopped?: Stopped & { threadId?: number }): Promise<void> => {
    const process = processOf(configuration, announced, await session.engine.processes(), tracerOf);
    if (!process?.runtime) return;
    const { signal } = process.runtime;
    const expression = passExpression(type, configuration, signal);
    if (told !== process.pid && expression !== undefined) {
      await debugSession.customRequest('evaluate', { expression, context: 'repl' });
      told = process.pid;
      session.log.info(`${type}: ${expression}`);
    }
    if (stopped && isStopBy(signal, stopped))
      await debugSession.customRequest('continue', { threadId: stopped.threadId ?? process.pid });
  };
  return {
    onDidSendMessage: (message: {
      type: string;
      event?: string;
      body?: Stopped & { threadId?: number; systemProcessId?: number };
    }) => {
      if (message.type !== 'event') return;
      if (message.event === 'process') announced = message.body?.systemProcessId;
      if (message.event !== 'initialized' && message.event !== 'stopped') return;
      tell(message.event === 'stopped' ? message.body : undefined).catch((error: unknown) =>
        // A debugger takes no commands while its process runs: the next stop is as good.
        session.log.info(`${type} was not told about the runtime's signal: ${String(error)}`),
      );
    },
  };
}

function tracerOf(pid: number): number {
  try {
    return Number(/^TracerPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // it has ended
  }
}
