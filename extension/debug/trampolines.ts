// Loaded patches and patched functions in the words of DAP: modules, sources, frames, variables. Pure.
import { basename } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { LoadedPatch, PatchedFunction, ProcessStatus } from '../engine/model/result';

export function sourceOf(file: string): DebugProtocol.Source {
  return { name: basename(file), path: file };
}

/** An unmapped patch is no module any more. */
export function modulesOf({ patches }: ProcessStatus): DebugProtocol.Module[] {
  return patches.filter(({ state }) => state !== 'unmapped').map(moduleOf);
}

function moduleOf({
  id,
  file,
  base,
  length,
  kind,
  module,
  state,
  sources,
  loadedAt,
}: LoadedPatch): DebugProtocol.Module {
  const end = Number(base) + length;
  return {
    id,
    name: `patch ${id} of ${basename(module)}`,
    path: file,
    isUserCode: true,
    version: state,
    symbolStatus: kind === 'fix_table' ? 'hand-written' : sources ? 'symbols loaded' : 'no debug information',
    symbolFilePath: file,
    dateTimeStamp: new Date(loadedAt).toISOString(),
    addressRange: `${base}-0x${end.toString(16)}`,
  };
}

export function sourcesOf({ patches }: ProcessStatus): string[] {
  const loaded = patches.filter(({ state }) => state !== 'unmapped');
  return [...new Set(loaded.flatMap(({ sources }) => sources ?? []))];
}

/** Files whose functions run patched now: what a new process of the same program needs. */
export function liveFiles({ functions }: ProcessStatus): string[] {
  return [...new Set(functions.filter(({ version }) => version > 0).flatMap(({ file }) => file ?? []))];
}

/** Name of the function (or version of it) that an address lies in. */
export function versionAt(functions: readonly PatchedFunction[], address: number): string | undefined {
  for (const { name, versions } of functions)
    for (const { version, address: start, size } of versions)
      if (version > 0 && address >= Number(start) && address < Number(start) + size)
        return `${name} [version ${version}]`;
  return undefined;
}

/** Names of the places where functions and their versions begin. */
export function entryName(functions: readonly PatchedFunction[], address: number): string | undefined {
  for (const { name, versions } of functions)
    for (const { version, address: start } of versions)
      if (Number(start) === address) return version === 0 ? name : `${name} [version ${version}]`;
  return undefined;
}

export function trampolineText({ version, trampoline }: PatchedFunction): string {
  return trampoline.kind === 'none'
    ? 'original code'
    : `${trampoline.kind} to ${trampoline.target} (version ${version})`;
}

/** What the Variables view shows of a trampoline; values with a memory reference open in the memory view. */
export function trampolineVariables(entry: PatchedFunction): DebugProtocol.Variable[] {
  const { trampoline, versions, pages, activeThreads } = entry;
  const plain = (name: string, value: string, memoryReference?: string): DebugProtocol.Variable => ({
    name,
    value,
    variablesReference: 0,
    ...(memoryReference && { memoryReference }),
  });
  return [
    plain('entry', `${trampoline.address}: ${trampolineText(entry)}`, trampoline.address),
    plain('bytes before', trampoline.bytesBefore),
    plain('bytes now', trampoline.bytesAfter, trampoline.address),
    plain('verified', entry.verified && entry.verifiedFromMemory !== false ? 'yes' : 'no'),
    plain('threads in old code', String(activeThreads)),
    ...versions.map(({ version, address, size, activeThreads: threads }) =>
      plain(
        version === 0 ? 'original' : `version ${version}`,
        `${address}, ${size} bytes, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
        address,
      ),
    ),
    ...pages.map(({ start, length, calls }) =>
      plain(
        `page ${start}`,
        `${length} bytes: ${calls.map(({ protection, result, errno }) => `mprotect ${protection} = ${result}, errno ${errno}`).join('; ')}`,
        start,
      ),
    ),
  ];
}
