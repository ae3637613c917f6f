// Joins the debug adapter (extension/debug) to VS Code: the inline adapter, configurations for the programs that were
// built, the process picker, the tracker that keeps other debuggers' sessions from stopping at the runtime's signal, and
// the environment of the programs that these start.
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { withEnvironment } from '../../debug/launch_environment';
import type { PatchAccess } from '../../debug/patch_access';
import { foreignDebugTypes, processOf, USUAL_SIGNAL, withPassSetup } from '../../debug/signal_pass';
import { debugType, Setting } from '../contributions';
import { builtPrograms } from '../session/built_programs';
import type { Session } from '../session/session';
import { setting } from '../settings';
import { NeighbourSession, tracerOf } from './neighbour_session';

export interface Debugging extends vscode.Disposable {
  /** Is the process one that a session of ours started? */
  isOf(pid: number): boolean;
}

interface AdapterMessage {
  event?: string;
  body?: { systemProcessId?: number; startMethod?: string; exitCode?: number };
}

/** @param environment what programs are to be started with, so that they can be patched */
export function registerDebugging(session: Session, environment: () => Record<string, string>): Debugging {
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
      createDebugAdapterDescriptor: async () => {
        // A bundle of its own: most windows never debug with it.
        const { HotPatchDebugSession } = await import('../../debug/adapter');
        return new vscode.DebugAdapterInlineImplementation(new HotPatchDebugSession(accessOf(session)));
      },
    }),
    vscode.debug.registerDebugConfigurationProvider(debugType, provider, Initial),
    vscode.debug.registerDebugConfigurationProvider(debugType, provider, Dynamic),
    vscode.debug.registerDebugAdapterTrackerFactory(debugType, watchStarts),
    vscode.debug.registerDebugConfigurationProvider('cppdbg', passFromTheBeginning(session)),
    ...foreignDebugTypes.map((type) =>
      vscode.debug.registerDebugConfigurationProvider(type, {
        resolveDebugConfigurationWithSubstitutedVariables: (_folder, configuration) =>
          withEnvironment(configuration, environment()),
      }),
    ),
    ...foreignDebugTypes.map((type) =>
      vscode.debug.registerDebugAdapterTrackerFactory(type, {
        createDebugAdapterTracker: (debugSession: vscode.DebugSession) =>
          new NeighbourSession(session, debugSession),
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
