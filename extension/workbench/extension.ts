// Entry point: puts the parts together. The command table, then activation from top to bottom: state, engine,
// what feeds the state, what shows it. No part knows another but through the state and the session.
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { PatchResult } from '../engine/model/result';
import { attach } from './commands/attach';
import { detach } from './commands/detach';
import { compare, provideVersions, showLayouts, type TypeLayouts } from './commands/compare';
import { copyDiagnostics } from './commands/copy_diagnostics';
import * as held from './commands/held';
import { loadPatch } from './commands/load_patch';
import { deoptimiseFunction, optimiseFunction } from './commands/optimisation';
import { patchFile, patchFunction, saveExplicitly } from './commands/patch_function';
import { patchPending } from './commands/patch_pending';
import { restartEngine } from './commands/restart_engine';
import { restartProgram, restartWithoutLastPatch } from './commands/restart_program';
import { restore, revertAll, revertFunction, useVersion } from './commands/revert';
import { selectProcess } from './commands/select_process';
import { chooseBuildDirectory, copyCMakeLines } from './commands/set_up';
import * as show from './commands/show';
import { provideTasks, startProgram } from './commands/start_program';
import { Command, Setting } from './contributions';
import { createApi, type HotPatchApi } from './debugging/api';
import { pickProcess, registerDebugging } from './debugging/register';
import { followDocuments } from './documents/documents';
import { startParser } from './documents/parser';
import { textOfFile } from './documents/text_of_file';
import { startEngine } from './engine_thread/client';
import type { ThreadOptions } from './engine_thread/messages';
import { consentTo } from './session/attach_consent';
import { offerToBringOver } from './session/bring_over';
import { isBringingOverWanted } from './session/bring_over_question';
import { watchCompileDatabases } from './session/compile_database';
import { watchCrashes } from './session/crash_watch';
import { watchFiles } from './session/file_watch';
import { watchEditedFunctions } from './session/edited_functions';
import { offerToAttach } from './session/offer_to_attach';
import { watchHeld } from './session/held_watch';
import { watchLaunches } from './session/launches';
import { Operations } from './session/operations';
import { watchPendingFiles } from './session/pending_files';
import { watchProcesses } from './session/process_watch';
import { runtimeDirectory } from './session/runtime_library';
import { dropStaleReports } from './session/stale_reports';
import { watchSaves } from './session/save_watch';
import { watchSources } from './session/source_watch';
import { saveVersions } from './session/saved_versions';
import { prepareTerminals } from './session/terminals';
import { runAfterPatch } from './session/after_patch_task';
import { offerToAgents } from './session/agents';
import { watchTwins } from './session/twins';
import type { Session } from './session/session';
import { setting } from './settings';
import { Store } from './state/store';
import { compileAhead } from './session/compile_ahead';
import { showCodeLens } from './views/code_lens';
import { setContextKeys } from './views/context_keys';
import { showDecorations } from './views/decorations';
import { showHistory } from './views/history';
import { crashText } from './views/crash_text';
import { provideWaysOn } from './views/held_actions';
import { heldText, mendedText } from './views/held_text';
import type { FunctionTarget } from './views/lens_content';
import { showProblems } from './views/problems';
import { provideQuickFixes } from './views/quick_fixes';
import { showStatusBar } from './views/status_bar';
import { showTree, type Tree } from './views/tree';

/** Results of patches, for other extensions. */
const results = new vscode.EventEmitter<PatchResult>();
/** Texts of the left sides of comparisons. */
const comparedTexts = new Map<string, string>();

/* eslint-disable @typescript-eslint/no-explicit-any -- VS Code passes commands what their menus and lenses hold. */
type Commands = Record<Command, (session: Session, ...parameters: any[]) => unknown>;
const commandsWith = (tree: Tree): Commands => ({
  [Command.patchFunction]: patchFunction,
  [Command.patchFile]: patchFile,
  [Command.patchPending]: patchPending,
  [Command.deoptimiseFunction]: deoptimiseFunction,
  [Command.optimiseFunction]: optimiseFunction,
  [Command.revertFunction]: revertFunction,
  [Command.revertAll]: revertAll,
  [Command.useVersion]: useVersion,
  [Command.startProgram]: startProgram,
  [Command.attach]: attach,
  [Command.detach]: detach,
  [Command.selectProcess]: selectProcess,
  [Command.showTrampolines]: (_session, target?: FunctionTarget) => show.showTrampolines(tree, target),
  [Command.showLog]: ({ log }) => log.show(true),
  [Command.copyDiagnostics]: copyDiagnostics,
  [Command.loadPatch]: loadPatch,
  [Command.compare]: (session, target?: FunctionTarget) => compare(session, comparedTexts, target),
  [Command.showLayouts]: (_session, layouts: TypeLayouts) => showLayouts(comparedTexts, layouts),
  [Command.checkFile]: show.checkFile,
  [Command.refresh]: show.refresh,
  [Command.goToSource]: show.goToSource,
  [Command.copyAddress]: show.copyAddress,
  [Command.restore]: restore,
  [Command.chooseBuildDirectory]: chooseBuildDirectory,
  [Command.copyCMakeLines]: copyCMakeLines,
  [Command.pickProcess]: pickProcess,
  [Command.showCause]: show.showCause,
  [Command.troubleshoot]: show.troubleshoot,
  [Command.save]: saveExplicitly,
  [Command.cancel]: ({ operations }) => operations.cancel(),
  [Command.restartEngine]: restartEngine,
  [Command.restartProgram]: restartProgram,
  [Command.restartWithoutLastPatch]: restartWithoutLastPatch,
  [Command.goOn]: held.goOn,
  [Command.retryCall]: held.retryCall,
  [Command.retryInstruction]: held.retryInstruction,
  [Command.returnFromHere]: held.returnFromHere,
  [Command.letItCrash]: held.letItCrash,
  [Command.showHeld]: held.showHeld,
  [Command.showBacktrace]: (session) => show.showBacktrace(session, tree),
});
/* eslint-enable @typescript-eslint/no-explicit-any */

export function activate(context: vscode.ExtensionContext): HotPatchApi {
  const log = vscode.window.createOutputChannel('Hot Patch', { log: true });
  const store = new Store((error) => log.error(`a view failed: ${textOf(error)}`));
  let session: Session | undefined;
  const start = () => {
    store.dispatch({ type: 'environment', environment: { trusted: true } });
    session = startSession(context, log, store, tree);
  };
  const platform = process.platform === 'linux' && process.arch === 'x64';
  store.dispatch({ type: 'environment', environment: { platform, trusted: vscode.workspace.isTrusted } });
  const tree = showTree(store);
  context.subscriptions.push(log, tree, showStatusBar(store), setContextKeys(store), showHistory(store));
  for (const [command, run] of Object.entries(commandsWith(tree))) {
    context.subscriptions.push(
      vscode.commands.registerCommand(command, (...parameters: unknown[]) =>
        session ? run(session, ...parameters) : sayWhyNot(context, store),
      ),
    );
  }
  // What an earlier window left, when the workspace was trusted.
  if (!platform || !vscode.workspace.isTrusted) context.environmentVariableCollection.clear();
  if (!platform) void sayOnce(context);
  else if (vscode.workspace.isTrusted) start();
  else context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(start));
  return createApi(() => session, results);
}

/** Everything that runs compilers or touches processes; only on Linux, and only in trusted workspaces. */
function startSession(
  context: vscode.ExtensionContext,
  log: vscode.LogOutputChannel,
  store: Store,
  tree: Tree,
): Session {
  const databases = watchCompileDatabases();
  const bundle = (name: string) => join(context.extensionPath, 'dist', name);
  const newEngine = (options: ThreadOptions) =>
    startEngine(bundle('engine_thread.js'), options, (level, message) => log[level](message));
  let options = engineOptions(databases.directories, undefined);
  let engine = newEngine(options);
  const current = () => engine;

  const parser = startParser(bundle('parser_thread.js'), (message) => log.error(message));
  const documents = followDocuments(parser);
  const warn = (message: string) => log.warn(message);
  const edited = watchEditedFunctions((file, text) => documents.parse(file, text));
  const operations = new Operations(current, store, {
    textOf: textOfFile,
    edited,
    mayAttach: (process) => consentTo(process) === 'yes',
    firstLight: () => setting(Setting.firstLight) === 'on',
    lookForProcesses: () => processes.look(),
    log: (message) => log.info(message),
  });
  const files = watchFiles(current, store, (message) => log.info(message));
  const isSeen = () => tree.visible || setting(Setting.codeLens);
  let builds: readonly string[] = [];
  const folders = () => [...workspaceFolders(), ...builds];
  const versions =
    context.storageUri && saveVersions(store, join(context.storageUri.fsPath, 'versions'), warn);
  const processes = watchProcesses(current, store, folders, isSeen, () => files.othersChanged(), warn);
  const saves = watchSaves((saved, since) => operations.saved(saved, since));
  const launches = watchLaunches(store);
  const mayCompare = (file: string) => setting(Setting.checkOnOpen, vscode.Uri.file(file));
  const texts = { held: heldText, mended: mendedText };
  const heldThreads = watchHeld(
    current,
    store,
    (pid) => launches.isStartedHere(pid),
    context.workspaceState,
    texts,
    warn,
  );
  const bringOver = offerToBringOver(store, operations, {
    isTakenCareOf: (pid) => debugging.isOf(pid),
    mayAttach: (process) => consentTo(process) !== 'no',
    isWanted: isBringingOverWanted,
  });
  const session: Session = {
    ...{
      context,
      log,
      store,
      operations,
      documents,
      saves,
      processes,
      files,
      databases,
      launches,
      held: heldThreads,
      bringOver,
      debuggers: new Set(),
    },
    get engine() {
      return engine;
    },
  };

  const places = { extension: context.extensionPath, storage: context.globalStorageUri.fsPath };
  const terminals = prepareTerminals(context.environmentVariableCollection, places, warn);
  const debugging = registerDebugging(session, () => terminals.environment());
  operations.onResult((result) => results.fire(result));

  let fitting: Promise<string | undefined> | undefined;
  const fittingRuntime = () =>
    (fitting ??= runtimeDirectory(places, warn).catch((error: unknown) => {
      log.error(`the runtime: ${String(error)}`);
      return undefined;
    }));
  const findDatabases = async () => {
    const wanted = engineOptions(databases.directories, await fittingRuntime());
    if (JSON.stringify(wanted) !== JSON.stringify(options)) {
      options = wanted;
      await operations.between(async () => {
        await engine.dispose();
        engine = newEngine(wanted);
      });
    }
    builds = await databases.find();
    await terminals.prepare(folders(), wanted.runtimeDirectory);
    store.dispatch({ type: 'environment', environment: { database: builds.length > 0 } });
    store.dispatch({ type: 'commands-changed' });
    files.forget();
  };
  // One after the other: each may exchange the engine.
  let looking = Promise.resolve();
  const lookForDatabases = () => {
    looking = looking
      .then(findDatabases)
      .catch((error: unknown) => log.error(`looking for compile databases: ${String(error)}`));
  };
  setImmediate(lookForDatabases);

  context.subscriptions.push(
    { dispose: () => parser.dispose() },
    ...[edited, databases, documents, launches, processes, files, saves, ...(versions ? [versions] : [])],
    databases.onDidChange(lookForDatabases),
    vscode.workspace.onDidChangeConfiguration((event) => {
      const isConcerned = [
        Setting.runtimeDirectory,
        Setting.debugDirectories,
        Setting.preambleCache,
        Setting.terminals,
      ].some((name) => event.affectsConfiguration(name));
      if (isConcerned) lookForDatabases();
    }),
    compileAhead(current, store, (message) => log.debug(message)),
    showCodeLens(store, documents),
    showDecorations(store, documents, context.extensionUri),
    showProblems(store),
    provideQuickFixes(store),
    watchPendingFiles(current, store, files, watchSources, mayCompare, warn),
    provideVersions(comparedTexts),
    provideTasks(() => session),
    // A save writes its file, too; what comes of it is waited for.
    dropStaleReports(store, (changed) => {
      void operations.between(() => Promise.resolve(files.checkAgain(changed)));
    }),
    offerToAgents(bundle('cli.js'), () => databases.directories, databases.onDidChange),
    offerToAttach(store, operations),
    runAfterPatch(operations, warn),
    heldThreads,
    provideWaysOn(store, documents),
    bringOver,
    watchTwins(store, launches, current),
    watchCrashes(current, store, ({ crash }) => (crash ? crashText(crash, crash.report) : ''), warn),
    debugging,
  );
  ending = async () => {
    await Promise.all([engine.dispose(), versions?.written()]);
  };
  return session;
}

/** What VS Code waits for when the window closes: temporary files are removed, processes keep their patches. */
let ending: () => Promise<void> = () => Promise.resolve();
export function deactivate(): Promise<void> {
  return ending();
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function engineOptions(
  buildDirectories: readonly string[],
  fittingRuntime: string | undefined,
): ThreadOptions {
  return {
    buildDirectories: [...buildDirectories],
    roots: workspaceFolders(),
    runtimeDirectory: setting(Setting.runtimeDirectory) || fittingRuntime,
    debugDirectories: [...setting(Setting.debugDirectories)],
    preambleLimit: setting(Setting.preambleCache) * 2 ** 20,
  };
}

function workspaceFolders(): string[] {
  return (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
}

async function sayWhyNot(context: vscode.ExtensionContext, store: Store): Promise<void> {
  if (!store.state.environment.platform) return sayOnce(context, true);
  const manage = 'Manage Workspace Trust';
  const message = 'Hot Patch runs compilers and loads code into processes, only in trusted workspaces.';
  if (await vscode.window.showWarningMessage(message, manage)) {
    await vscode.commands.executeCommand('workbench.trust.manage');
  }
}

/** On systems where nothing can be patched: once, and again only when asked for. */
async function sayOnce(context: vscode.ExtensionContext, asked = false): Promise<void> {
  const key = 'platform.said';
  if (!asked && context.globalState.get<boolean>(key)) return;
  await context.globalState.update(key, true);
  await vscode.window.showInformationMessage(
    'Hot Patch works on Linux (x86-64): open the folder in a Linux machine, container, WSL or over Remote-SSH.',
  );
}
