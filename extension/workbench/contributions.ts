// Every id that package.json contributes: commands, settings, views, context keys. Code names them only through
// this file, and test/workbench/contributions.test.ts holds it against package.json in both directions. No logic.

export const extensionId = 'hot-patch.hot-patch';

/** Commands; the comment says where each is offered beside the palette. */
export const Command = {
  /** The function at the cursor; code lens. */
  patchFunction: 'hotPatch.patchFunction',
  /** The file in the editor; ⚡ in the editor title. */
  patchFile: 'hotPatch.patchFile',
  /** Tree, palette: every file that is not what runs. */
  patchPending: 'hotPatch.patchPending',
  /** Code lens, tree: the function at -O0 in an optimised program, for a debugger. */
  deoptimiseFunction: 'hotPatch.deoptimiseFunction',
  /** Code lens, tree: as the build compiles it again. */
  optimiseFunction: 'hotPatch.optimiseFunction',
  /** Code lens, tree. */
  revertFunction: 'hotPatch.revertFunction',
  revertAll: 'hotPatch.revertAll',
  /** Tree: a version node. */
  useVersion: 'hotPatch.useVersion',
  /** Welcome view, status bar tooltip. */
  startProgram: 'hotPatch.startProgram',
  /** Tree, palette, status bar once a program has ended, Quick Fix of a refusal. */
  restartProgram: 'hotPatch.restartProgram',
  /** After a crash: notification, tree. The files of the last patch run their original code; other patches come along. */
  restartWithoutLastPatch: 'hotPatch.restartWithoutLastPatch',
  /** After a crash: notification, status bar, palette. */
  showBacktrace: 'hotPatch.showBacktrace',
  /** Status bar, notification, code lens of a thread that is held after a crash: asks how it goes on. */
  goOn: 'hotPatch.goOn',
  /** Code lens, Quick Fix, tree: each way on. */
  retryCall: 'hotPatch.retryCall',
  retryInstruction: 'hotPatch.retryInstruction',
  returnFromHere: 'hotPatch.returnFromHere',
  letItCrash: 'hotPatch.letItCrash',
  /** Notification: the line at which a thread is held. */
  showHeld: 'hotPatch.showHeld',
  /** Tree, picker, status bar: brings the runtime into a running process. */
  attach: 'hotPatch.attach',
  /** Tree: context menu. Takes all patches back; the process is then as if it had not been attached to. */
  detach: 'hotPatch.detach',
  /** Status bar. */
  selectProcess: 'hotPatch.selectProcess',
  showTrampolines: 'hotPatch.showTrampolines',
  showLog: 'hotPatch.showLog',
  copyDiagnostics: 'hotPatch.copyDiagnostics',
  loadPatch: 'hotPatch.loadPatch',
  /** Quick Fix of a refusal: the type as it is in the process, and as it would be. */
  showLayouts: 'hotPatch.showLayouts',
  /** Code lens. */
  compare: 'hotPatch.compare',
  /** Does the compile command of the file reproduce the running code? */
  checkFile: 'hotPatch.checkFile',
  /** Tree title: count the threads in old code again. */
  refresh: 'hotPatch.refresh',
  /** Tree: inline. */
  goToSource: 'hotPatch.goToSource',
  /** Tree: inline. */
  copyAddress: 'hotPatch.copyAddress',
  /** History: inline. */
  restore: 'hotPatch.restore',
  /** Welcome views. */
  chooseBuildDirectory: 'hotPatch.chooseBuildDirectory',
  copyCMakeLines: 'hotPatch.copyCMakeLines',
  /** Status bar, when there is a cause to show. */
  showCause: 'hotPatch.showCause',
  /** Debug configurations: `${command:pickProcess}`. */
  pickProcess: 'hotPatch.pickProcess',
  /** Ctrl+S where auto-save is on: VS Code begins no save of its own while an auto-save of the same text is written. */
  save: 'hotPatch.save',
  /** Status bar, while something is under way. */
  cancel: 'hotPatch.cancel',
  restartEngine: 'hotPatch.restartEngine',
  /** The link of a problem's code: TROUBLESHOOTING.md at its section. */
  troubleshoot: 'hotPatch.troubleshoot',
} as const;
export type Command = (typeof Command)[keyof typeof Command];

export const Setting = {
  onSave: 'hotPatch.onSave',
  firstLight: 'hotPatch.firstLight',
  compileAhead: 'hotPatch.compileAhead',
  preambleCache: 'hotPatch.preambleCache',
  attach: 'hotPatch.attach',
  attachPrograms: 'hotPatch.attachPrograms',
  terminals: 'hotPatch.terminals',
  bringOver: 'hotPatch.bringOver',
  afterPatchTask: 'hotPatch.afterPatchTask',
  holdOnCrash: 'hotPatch.holdOnCrash',
  holdLimit: 'hotPatch.holdLimit',
  checkOnOpen: 'hotPatch.checkOnOpen',
  buildDirectory: 'hotPatch.buildDirectory',
  debugDirectories: 'hotPatch.debugDirectories',
  runtimeDirectory: 'hotPatch.runtimeDirectory',
  codeLens: 'hotPatch.codeLens',
  decorations: 'hotPatch.decorations',
  statusBar: 'hotPatch.statusBar',
} as const;
export type Setting = (typeof Setting)[keyof typeof Setting];

/** The type of each setting's value, as package.json describes it. */
export interface SettingValues {
  [Setting.onSave]: 'never' | 'manual' | 'manualIfDirty' | 'all' | 'allIfDirty';
  [Setting.firstLight]: 'on' | 'exactOnly';
  [Setting.compileAhead]: 'always' | 'onMains' | 'never';
  /** MiB. */
  [Setting.preambleCache]: number;
  [Setting.attach]: 'ask' | 'always' | 'never';
  [Setting.attachPrograms]: readonly string[];
  [Setting.terminals]: boolean;
  [Setting.bringOver]: 'ask' | 'always' | 'never';
  /** Empty: none. */
  [Setting.afterPatchTask]: string;
  [Setting.holdOnCrash]: 'started' | 'off' | 'patched' | 'all';
  /** Seconds; 0: none. */
  [Setting.holdLimit]: number;
  [Setting.checkOnOpen]: boolean;
  [Setting.buildDirectory]: string;
  [Setting.debugDirectories]: readonly string[];
  [Setting.runtimeDirectory]: string;
  [Setting.codeLens]: boolean;
  [Setting.decorations]: boolean;
  [Setting.statusBar]: boolean;
}

export const ViewContainer = { hotPatch: 'hotPatch' } as const;

export const View = { trampolines: 'hotPatch.trampolines', history: 'hotPatch.history' } as const;

/** Context keys that `when` clauses in package.json read. */
export const ContextKey = {
  /** One of WelcomeState. */
  welcome: 'hotPatch.welcome',
  /** Some process has the runtime. */
  hasProcess: 'hotPatch.hasProcess',
  /** Some function is redirected. */
  hasPatches: 'hotPatch.hasPatches',
  /** The file in the editor was compiled into a process that can be patched, or attached to. */
  fileIsLive: 'hotPatch.fileIsLive',
  hasHistory: 'hotPatch.hasHistory',
  /** Some file is not what runs. */
  hasPending: 'hotPatch.hasPending',
  /** Some process has crashed. */
  hasCrash: 'hotPatch.hasCrash',
  /** Some thread is held after a crash. */
  hasHeld: 'hotPatch.hasHeld',
  /** Something is under way that can be cancelled. */
  hasOperation: 'hotPatch.hasOperation',
} as const;
export type ContextKey = (typeof ContextKey)[keyof typeof ContextKey];

/** What the empty tree explains; the values of the context key `welcome`. */
export type WelcomeState = 'platform' | 'untrusted' | 'database' | 'process' | 'none';

/** `contextValue`s of tree items, as the `viewItem` clauses of package.json spell them. */
export const TreeItemKind = {
  crash: 'crash',
  frame: 'frame',
  held: 'held',
  pending: 'pending',
  pendingFile: 'pending.file',
  process: 'process',
  attachableProcess: 'process.attachable',
  unattachableProcess: 'process.unattachable',
  none: 'none',
  module: 'module',
  patchedFunction: 'function.patched',
  originalFunction: 'function.original',
  deoptimisedFunction: 'function.deoptimised',
  /** One that was inlined everywhere: it has no entry of its own. */
  deoptimisedInlined: 'inlined.deoptimised',
  trampoline: 'trampoline',
  page: 'page',
  call: 'call',
  versions: 'versions',
  currentVersion: 'version.current',
  otherVersion: 'version.other',
  threads: 'threads',
  historyEntry: 'history.entry',
  restorableEntry: 'history.restorable',
} as const;
export type TreeItemKind = (typeof TreeItemKind)[keyof typeof TreeItemKind];

export const taskType = 'hotPatch';
export const debugType = 'hotPatch';
export const walkthrough = 'start';
/** The server that coding agents of the editor are offered. */
export const mcpProvider = 'hotPatch.agents';
export const languages = ['c', 'cpp'] as const;
