// The tree's content: process → module → function → trampoline, pages with their mprotect calls, versions, threads.
// From the state to plain nodes with stable ids; tree.ts shows them. Pure: no vscode, no words of its own choice
// about what is true, every figure is the runtime's or was read from memory.
import { basename } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import type {
  CheckReport,
  DeoptimisedFunction,
  FunctionVersion,
  PatchableProcess,
  PatchedFunction,
  ProtectionCall,
  ProcessStatus,
} from '../../engine/model/result';
import { TreeItemKind } from '../contributions';
import { pendingOf, plural, shortList, targetProcesses, type PendingFile } from '../state/queries';
import { canRetryMended } from '../state/held_threads';
import { cloneSuffix, qualifiedName, readableName } from '../state/function_names';
import { processKey, type ProcessKey, type State, type UnpreparedProcess } from '../state/state';
import { ERROR_TABLE } from '../../engine/model/errors';
import { DEOPTIMISED } from '../../engine/model/text';
import { crashNode } from './crash_nodes';
import { heldNode } from './held_nodes';
import { escapeMarkdown } from './markdown';
import { distinctionOf } from './process_text';
import type { NodeTarget, TreeNode } from './tree_node';

export function treeOf(state: State): TreeNode[] {
  const targets = new Set(targetProcesses(state).map(processKey));
  const isAll = state.selection.kind === 'all';
  return [
    ...(state.crash ? [crashNode(state.crash)] : []),
    ...pendingSection(pendingOf(state)),
    ...(state.processes ?? []).map((process) =>
      processNode(state, process, isAll ? undefined : targets.has(processKey(process))),
    ),
    ...state.unprepared.map((process) => unpreparedNode(state, process)),
  ];
}

/** Files that are not what runs; none where there are none. */
function pendingSection(files: readonly PendingFile[]): TreeNode[] {
  if (files.length === 0) return [];
  return [
    {
      id: 'pending',
      kind: TreeItemKind.pending,
      label: 'Pending',
      description: plural(files.length, 'file'),
      tooltip:
        'Files that were written since the program was built, and whose text is not what runs or was not compared yet. *Hot Patch All Changed Files* makes all of them live in one go.',
      icon: 'diff-multiple',
      expanded: true,
      children: files.map(pendingFile),
    },
  ];
}

function pendingFile({ file, written: { report } }: PendingFile): TreeNode {
  const { text, isTrouble } = pendingText(report);
  return {
    id: `pending ${file}`,
    kind: TreeItemKind.pendingFile,
    label: basename(file),
    description: text,
    tooltip: `${code(file)}\n\n${escapeMarkdown(report?.message ?? 'Its text was not compared with what runs yet.')}`,
    icon: isTrouble ? 'warning' : 'diff-modified',
    color: isTrouble ? 'warning' : undefined,
    file,
    children: [],
  };
}

/** What a save of the file would come to, as far as that is known. */
function pendingText(report: CheckReport | undefined): { text: string; isTrouble: boolean } {
  if (!report) return { text: 'not compared yet', isTrouble: false };
  const refusal = report.problems.find(({ code: problem }) => ERROR_TABLE[problem].kind === 'refused');
  if (report.verdict === 'compile-failed') return { text: 'does not compile', isTrouble: true };
  if (refusal) return { text: `refused: ${refusal.message}`, isTrouble: true };
  if (report.verdict !== 'edited') return { text: report.message, isTrouble: true };
  const names = [...new Set((report.changed ?? []).map(({ name }) => qualifiedName(name)))];
  return { text: names.length > 0 ? shortList(names) : 'differs from what runs', isTrouble: false };
}

/** A process that was started without the runtime: it can be attached to, or says why not. */
function unpreparedNode(state: State, process: UnpreparedProcess): TreeNode {
  const { pid, name, obstacle } = process;
  const way = obstacle
    ? `${escapeMarkdown(obstacle.message)}.\n\n${escapeMarkdown(ERROR_TABLE[obstacle.code].hint)}`
    : process.asleep
      ? 'It was detached from: it runs its original code, and saves leave it as it is. *Attach* makes it patchable again.'
      : 'It was started without Hot Patch. *Attach* brings the runtime into it while it runs; so does a save of one of its files.';
  return {
    id: processKey(process),
    // Where a debugger has it, that can attach perhaps.
    kind:
      obstacle && obstacle.code !== 'debugged'
        ? TreeItemKind.unattachableProcess
        : TreeItemKind.attachableProcess,
    label: name,
    description: [
      ...(obstacle ? ['cannot be attached to'] : [process.asleep ? 'detached' : 'not attached']),
      distinctionOf(state, process),
      `pid ${pid}`,
      obstacle?.message,
    ]
      .filter(Boolean)
      .join(' · '),
    tooltip: `${way}\n\n${processTooltip(process)}`,
    icon: obstacle ? 'circle-slash' : 'debug-disconnect',
    target: { key: processKey(process), pid, name },
    children: [],
  };
}

/** @param chosen whether saves are for it; undefined when they are for all. */
function processNode(state: State, process: PatchableProcess, chosen: boolean | undefined): TreeNode {
  const key = processKey(process);
  const { functions = [], deoptimised = [], layouts = [] } = state.statuses.get(key) ?? {};
  const held = state.held.filter(({ pid }) => pid === process.pid);
  const silent = state.lost.some((lost) => lost.key === key && lost.reason === 'silent');
  const { problem } = process;
  const modules = [...new Set(functions.map((f) => f.module))].sort();
  const labels = labelsOf(functions);
  const target = { key, pid: process.pid, name: process.name };
  return {
    id: key,
    kind: TreeItemKind.process,
    label: process.name,
    description: [
      silent && 'does not answer',
      problem && 'cannot be read',
      chosen === true && 'selected',
      distinctionOf(state, process),
      `pid ${process.pid}`,
    ]
      .filter(Boolean)
      .join(' · '),
    tooltip: problem
      ? `${escapeMarkdown(problem.message)}.\n\n${escapeMarkdown(ERROR_TABLE[problem.code].hint)}\n\n${processTooltip(process, layouts)}`
      : processTooltip(process, layouts),
    icon: silent
      ? 'debug-disconnect'
      : problem
        ? 'warning'
        : chosen === false
          ? 'circle-outline'
          : 'server-process',
    color: silent || problem ? 'warning' : undefined,
    expanded: true,
    target,
    children: [
      ...held.map((thread) => heldNode(key, thread, canRetryMended(state, thread))),
      ...(functions.length === 0
        ? [nothingPatched(key, target)]
        : [
            ...modules.map((module) => ({
              id: `${key} ${module}`,
              kind: TreeItemKind.module,
              label: basename(module),
              description: module === process.exe ? 'program' : 'library',
              tooltip: code(module),
              icon: module === process.exe ? 'file-binary' : 'library',
              expanded: true,
              target,
              children: functions
                .filter((f) => f.module === module)
                .map((f) => functionNode(key, process.pid, f, labels.get(f)!)),
            })),
            ...deoptimised
              .filter(({ symbol }) => !functions.some((f) => f.deoptimised && f.symbol === symbol))
              .map((fn) => deoptimisedNode(key, process.pid, fn)),
          ]),
    ],
  };
}

/** A process always has something to expand: VS Code would not expand it by itself once patches arrive. */
function nothingPatched(key: ProcessKey, target: NodeTarget): TreeNode {
  const label = 'No patches yet';
  const description = 'edit a function and save';
  return { id: `${key} none`, kind: TreeItemKind.none, label, description, target, children: [] };
}

function processTooltip(
  process: PatchableProcess,
  layouts: NonNullable<ProcessStatus['layouts']> = [],
): string {
  const runtime = process.runtime ?? process.asleep;
  return table([
    ['Program', code(process.exe)],
    ['Command line', code(process.commandLine.join(' '))],
    ['Folder', code(process.cwd)],
    ['Parent', `${process.parentPid}`],
    ...(layouts.length > 0
      ? [['Migrated', layouts.map(({ type }) => code(type)).join(', ')] as [string, string]]
      : []),
    ...(runtime
      ? ([
          ['Runtime', `${escapeMarkdown(runtime.version)}, protocol ${runtime.protocol}`],
          ['Signal', `${runtime.signal}, to thread ${runtime.workerTid}`],
          ['Control directory', code(runtime.controlDirectory)],
          ...(runtime.passedOver !== undefined
            ? [['Not used', escapeMarkdown(runtime.passedOver)] as [string, string]]
            : []),
        ] as [string, string][])
      : []),
  ]);
}

/** Parameters only where they tell overloads apart. */
function labelsOf(functions: readonly PatchedFunction[]): ReadonlyMap<PatchedFunction, string> {
  const names = functions.map((f) => qualifiedName(f.name));
  const seen = new Set<string>();
  const overloaded = new Set(names.filter((name) => seen.size === seen.add(name).size));
  return new Map(
    functions.map((f, index) => {
      const name = names[index]!;
      return [f, overloaded.has(name) ? readableName(f.name) : name];
    }),
  );
}

/** A function at -O0 for debugging that has no entry in the process: it was inlined wherever it was called. */
function deoptimisedNode(
  key: ProcessKey,
  pid: number,
  { name, symbol, source, line }: DeoptimisedFunction,
): TreeNode {
  return {
    id: `${key} -O0 ${source} ${symbol}`,
    kind: TreeItemKind.deoptimisedInlined,
    label: qualifiedName(name),
    description: DEOPTIMISED,
    tooltip: `${code(readableName(name))} was inlined where it is called. The functions that call it now are patched, and listed with their modules.`,
    icon: 'debug-alt',
    color: 'live',
    target: { key, pid, name, file: source, line },
    children: [],
  };
}

function functionNode(key: ProcessKey, pid: number, f: PatchedFunction, label: string): TreeNode {
  const id = `${key} ${f.module} ${f.address}`;
  const target: NodeTarget = { key, pid, name: f.name, address: f.address, file: f.file, line: f.line };
  const patched = f.version > 0;
  const suffix = cloneSuffix(f.symbol);
  return {
    id,
    kind: f.deoptimised
      ? TreeItemKind.deoptimisedFunction
      : patched
        ? TreeItemKind.patchedFunction
        : TreeItemKind.originalFunction,
    label,
    description: [
      patched ? `version ${f.version}` : 'original',
      ...(suffix === '' ? [] : [suffix.slice(1)]),
      ...(f.deoptimised ? [DEOPTIMISED] : []),
      ...(f.activeThreads > 0 ? [`${plural(f.activeThreads, 'thread')} in old code`] : []),
      verification(f).short,
    ].join(' · '),
    tooltip: table([
      ['Function', code(readableName(f.name))],
      ['Symbol', code(f.symbol)],
      ['Entry', code(f.address)],
      ['Module', code(f.module)],
      ...(f.file ? ([['Source', code(`${f.file}${f.line ? `:${f.line}` : ''}`)]] as [string, string][]) : []),
      ['Verified', verification(f).long],
    ]),
    icon: patched ? 'zap' : 'discard',
    color: patched ? (isVerified(f) ? 'live' : 'error') : undefined,
    target,
    children: [
      trampolineNode(id, target, f),
      ...f.pages.map((page) => ({
        id: `${id} page ${page.start}`,
        kind: TreeItemKind.page,
        label: `Page ${page.start}`,
        description: `${page.length} bytes`,
        tooltip:
          'The pages whose protection was changed to write the entry, and each `mprotect` call for it.',
        icon: 'layers',
        color: page.calls.some((call) => call.result !== 0) ? ('error' as const) : undefined,
        expanded: true,
        target: { ...target, address: page.start },
        children: page.calls.map((call, index) =>
          callNode(`${id} page ${page.start} ${index}`, target, call),
        ),
      })),
      versionsNode(id, target, f),
      {
        id: `${id} threads`,
        kind: TreeItemKind.threads,
        label:
          f.activeThreads === 0
            ? 'No thread in old code'
            : `${plural(f.activeThreads, 'thread')} in old code`,
        description: f.activeThreads === 0 ? 'every call runs this version' : 'until they return from it',
        tooltip:
          'Threads that run in, or will return into, another version than the present one. The runtime looks at their stacks; refresh to have it look again.',
        icon: f.activeThreads === 0 ? 'check-all' : 'history',
        color: f.activeThreads === 0 ? undefined : 'warning',
        target,
        children: [],
      },
    ],
  };
}

function trampolineNode(id: string, target: NodeTarget, f: PatchedFunction): TreeNode {
  const { trampoline } = f;
  const present = trampoline.kind !== 'none';
  const shown = [
    { title: 'Before', address: trampoline.address, bytes: trampoline.bytesBefore },
    { title: 'After', address: trampoline.address, bytes: trampoline.bytesAfter },
  ].filter((part) => part.bytes.length > 0);
  return {
    id: `${id} trampoline`,
    kind: TreeItemKind.trampoline,
    label: `Trampoline ${trampoline.address}`,
    description: present ? `${trampoline.kind} → ${trampoline.target}` : 'none: the original code runs',
    tooltip: table([
      ['Address', code(trampoline.address)],
      ['Kind', code(trampoline.kind)],
      ['Written by', code(trampoline.method)],
      ['Target', code(trampoline.target)],
      ['Bytes', `${code(spaced(trampoline.bytesBefore))} → ${code(spaced(trampoline.bytesAfter))}`],
      ['Verified', verification(f).long],
    ]),
    icon: 'arrow-swap',
    expanded: false,
    target: { ...target, address: trampoline.address, code: shown },
    children: [
      leaf(`${id} before`, 'Before', spaced(trampoline.bytesBefore), target),
      leaf(`${id} after`, 'After', spaced(trampoline.bytesAfter), target),
    ].map((node, index) => ({ ...node, target: { ...target, code: shown.slice(index, index + 1) } })),
  };
}

function leaf(id: string, label: string, description: string, target: NodeTarget): TreeNode {
  return { id, kind: TreeItemKind.trampoline, label, description, icon: 'file-code', target, children: [] };
}

function callNode(id: string, target: NodeTarget, call: ProtectionCall): TreeNode {
  const failed = call.result !== 0;
  const [name, meaning] = failed
    ? (getSystemErrorMap().get(-call.errno) ?? [`errno ${call.errno}`, ''])
    : ['', ''];
  return {
    id,
    kind: TreeItemKind.call,
    label: `${call.protection} → ${call.result}`,
    description: failed ? `${name}: ${meaning}` : undefined,
    tooltip: `\`mprotect(…, ${call.protection})\` returned ${call.result}${failed ? `, ${name}: ${escapeMarkdown(meaning)}` : ''}.`,
    icon: failed ? 'error' : 'pass',
    color: failed ? 'error' : undefined,
    target,
    children: [],
  };
}

function versionsNode(id: string, target: NodeTarget, f: PatchedFunction): TreeNode {
  return {
    id: `${id} versions`,
    kind: TreeItemKind.versions,
    label: 'Versions',
    description: `${f.versions.length}`,
    tooltip:
      'Every version of this function that the process has had, the original first. *Use This Version* goes to another one, *Compare* shows its source beside the file.',
    icon: 'versions',
    expanded: false,
    target,
    children: f.versions.map((version) => versionNode(id, target, f, version)),
  };
}

function versionNode(id: string, target: NodeTarget, f: PatchedFunction, version: FunctionVersion): TreeNode {
  const current = version.version === f.version;
  return {
    id: `${id} version ${version.version}`,
    kind: current ? TreeItemKind.currentVersion : TreeItemKind.otherVersion,
    label: version.version === 0 ? 'Original' : `Version ${version.version}`,
    description: [
      ...(current ? ['runs now'] : []),
      ...(version.activeThreads > 0 ? [plural(version.activeThreads, 'thread')] : []),
      `${version.size} bytes`,
      version.address,
    ].join(' · '),
    icon: current ? 'circle-filled' : 'circle-outline',
    target: { ...target, address: f.address, version: version.version },
    children: [],
  };
}

function isVerified(f: PatchedFunction): boolean {
  return f.verified && f.verifiedFromMemory !== false;
}

function verification(f: PatchedFunction): { short: string; long: string } {
  if (!f.verified) return { short: 'NOT verified', long: 'the runtime did not find in memory what it wrote' };
  if (f.verifiedFromMemory === false) {
    return {
      short: 'NOT in memory',
      long: 'the runtime read it back, but it is not in the memory of the process now',
    };
  }
  return f.verifiedFromMemory === null
    ? { short: 'verified by the runtime', long: 'read back by the runtime after writing' }
    : {
        short: 'verified',
        long: 'read back by the runtime after writing, and by Hot Patch from the memory of the process',
      };
}

/** `e99bce` → `e9 9b ce`. */
function spaced(bytes: string): string {
  return bytes.replace(/..(?=.)/g, '$& ');
}

function code(text: string): string {
  return `\`${text.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}

function table(rows: readonly (readonly [string, string])[]): string {
  return ['| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}
