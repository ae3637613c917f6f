// Reports as the engine and the runtime would give them, for tests of the parts that only compute. No process runs.
import type {
  PatchableProcess,
  PatchedFunction,
  PatchResult,
  ProcessStatus,
} from '../../extension/engine/model/result';
import type { Event } from '../../extension/workbench/state/events';
import { reduce } from '../../extension/workbench/state/reduce';
import { initialState, processKey, type State } from '../../extension/workbench/state/state';

export const file = '/project/shop.cc';

export function process(pid = 4242, more: Partial<PatchableProcess> = {}): PatchableProcess {
  return {
    pid,
    startTime: 1000 + pid,
    parentPid: 1,
    exe: '/project/build/service',
    name: 'service',
    commandLine: ['./service', '8080'],
    cwd: '/project',
    state: 'ready',
    runtime: { version: '0.1.0', protocol: 1, signal: 10, workerTid: pid + 1, controlDirectory: '/run/1' },
    ...more,
  };
}

export function patchedFunction(more: Partial<PatchedFunction> = {}): PatchedFunction {
  return {
    name: 'shop::price_of(long)',
    symbol: '_ZN4shop8price_ofEl',
    address: '0x555555556160',
    module: '/project/build/service',
    version: 1,
    versions: [
      { version: 0, patch: null, address: '0x555555556160', size: 120, activeThreads: 1 },
      { version: 1, patch: 1, address: '0x555500001000', size: 130, activeThreads: 0 },
    ],
    trampoline: {
      address: '0x555555556160',
      kind: 'jmp-rel32',
      method: 'int3',
      bytesBefore: '554889e553',
      bytesAfter: 'e99baeaaff',
      target: '0x555500001000',
    },
    pages: [
      {
        start: '0x555555556000',
        length: 4096,
        calls: [
          { protection: 'PROT_READ|PROT_WRITE|PROT_EXEC', result: 0, errno: 0 },
          { protection: 'PROT_READ|PROT_EXEC', result: 0, errno: 0 },
        ],
      },
    ],
    activeThreads: 0,
    verified: true,
    verifiedFromMemory: true,
    file,
    line: 34,
    ...more,
  };
}

/** `price_of` in the text of the file. */
export const price = {
  name: 'shop::price_of',
  startLine: 33,
  endLine: 36,
  nameLine: 33,
  parameters: 1,
  hash: 1,
};

export function status(functions: PatchedFunction[], pid = 4242): ProcessStatus {
  return { pid, exe: '/project/build/service', sequence: 1, patches: [], functions };
}

export function result(more: Partial<PatchResult> = {}): PatchResult {
  return {
    outcome: 'patched',
    files: [file],
    processes: [],
    refusals: [],
    warnings: [],
    diagnostics: [],
    changed: [],
    timings: { compile: 60, total: 84.4 },
    ...more,
  };
}

export function after(events: readonly Event[], state: State = initialState): State {
  return events.reduce(reduce, state);
}

/** A process runs, and the file in the editor was built into it. */
export const running: readonly Event[] = [
  { type: 'environment', environment: { database: true } },
  { type: 'processes', processes: [process()] },
  { type: 'active-file', file },
  { type: 'matches', file, processes: [process()] },
];

/** A save, from its start to its end. */
export function save(
  ended: PatchResult,
  functions: PatchedFunction[] = [],
  text = 'text',
  pid = 4242,
): Event[] {
  const id = Math.floor(Number(ended.timings['total'] ?? 0)) + functions.length;
  const statuses =
    functions.length > 0 ? new Map([[processKey(process(pid)), status(functions, pid)]]) : new Map();
  const ending = { result: ended, statuses, texts: new Map([[file, text]]), edited: [], whole: true };
  return [
    { type: 'operation-started', id, action: 'save', files: [file] },
    { type: 'operation-finished', id, at: 1_790_000_000_000, since: 1_789_999_999_000, ...ending },
  ];
}

/** A save that made a first version of `price_of` live. */
export function patched(more: Partial<PatchedFunction> = {}, text?: string): Event[] {
  const f = patchedFunction(more);
  const processes = [{ pid: 4242, exe: f.module, functions: [f] }];
  const changed = [{ name: f.name, symbol: f.symbol, file, kind: 'changed' as const }];
  return save(result({ processes, changed }), [f], text);
}
