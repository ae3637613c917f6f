// The one table of layers: which room may import which. Lint (eslint.config.mjs) and a test (test/project) read it, so
// that an arrow that points the wrong way fails `npm run check`. Imports within a room are free; a file belongs to the
// first room whose pattern matches.
import { posix } from 'node:path';

const facts = ['engine/model', 'engine/shared', 'engine/elf'];
const arch = ['engine/arch', 'engine/arch/interface'];
const below = [
  'engine/interface',
  'engine/host',
  ...facts,
  ...arch,
  'engine/dwarf',
  'engine/patch_format',
  'engine/types',
];
const comparison = [...below, 'engine/live', 'engine/compare'];
const state = ['workbench/ids', 'workbench/state', ...facts];

/** Rooms from the bottom to the top: [name, pattern of its files, rooms it may import, packages besides node's own]. */
export const ROOMS = [
  ['engine/model', /^engine\/model\//, ['engine/shared'], []],
  ['engine/shared', /^engine\/shared\//, [], []],
  ['engine/host', /^engine\/(host|guarded_directory)\.ts$/, ['engine/model', 'engine/shared'], []],
  ['engine/elf', /^engine\/elf\//, ['engine/model', 'engine/shared', 'engine/host'], []],
  // Nobody but the two files that choose an architecture imports one.
  ['engine/arch/interface', /^engine\/arch\/architecture\.ts$/, facts, []],
  ['engine/arch/x86_64', /^engine\/arch\/x86_64\//, ['engine/arch/interface', ...facts], ['iced-x86']],
  ['engine/arch/disassembler', /^engine\/arch\/disassembler\.ts$/, ['engine/arch/x86_64'], []],
  ['engine/arch', /^engine\/arch\//, ['engine/arch/interface', 'engine/arch/x86_64', ...facts], []],
  ['engine/dwarf', /^engine\/dwarf\//, [...facts, 'engine/host', ...arch], []],
  ['engine/patch_format', /^engine\/patch_format\//, facts, []],
  ['engine/interface', /^engine\/(engine|context|caches)\.ts$/, facts, []],
  ['engine/types', /^engine\/types\//, ['engine/interface', ...facts, ...arch, 'engine/dwarf'], []],
  ['engine/live', /^engine\/live\//, below, []],
  ['engine/compare', /^engine\/compare\//, comparison, []],
  ['engine/link', /^engine\/link\//, comparison, []],
  ['engine/process', /^engine\/process\//, below, ['koffi']],
  ['engine/compile', /^engine\/compile\//, [...below, 'engine/process'], ['shlex']],
  ['engine/fast', /^engine\/fast\//, below, []],
  [
    'engine/save',
    /^engine\/save\//,
    [...comparison, 'engine/link', 'engine/process', 'engine/compile', 'engine/fast'],
    [],
  ],
  [
    'engine',
    /^engine\//,
    [...comparison, 'engine/save', 'engine/process', 'engine/compile', 'engine/fast'],
    [],
  ],
  [
    'command_line/requests',
    /^command_line\/requests\.ts$/,
    ['engine/interface', ...facts, 'engine/process'],
    [],
  ],
  // A bundle of its own, which only `hot-patch mcp` loads.
  [
    'command_line/mcp',
    /^command_line\/mcp\//,
    ['command_line/requests', 'engine', 'engine/interface', 'engine/host', ...facts],
    ['@modelcontextprotocol/sdk', 'zod'],
  ],
  [
    'command_line',
    /^command_line\//,
    ['command_line/requests', 'command_line/mcp', 'engine', 'engine/interface', ...facts, 'engine/process'],
    [],
  ],
  [
    'debug',
    /^debug\//,
    ['engine', 'engine/interface', ...facts, 'engine/process', 'engine/arch/disassembler'],
    ['@vscode/debugadapter', '@vscode/debugprotocol', 'shlex'],
  ],
  ['workbench/ids', /^workbench\/(contributions|settings|worker_thread)\.ts$/, [], ['vscode']],
  ['workbench/state', /^workbench\/state\//, state, []],
  ['workbench/documents', /^workbench\/documents\//, state, ['vscode', 'web-tree-sitter']],
  [
    'workbench/engine_thread',
    /^workbench\/engine_thread\//,
    ['workbench/ids', 'engine', 'engine/interface', ...facts],
    [],
  ],
  [
    'workbench/session',
    /^workbench\/session\//,
    [...state, 'workbench/documents', 'workbench/engine_thread', 'engine/interface'],
    ['vscode'],
  ],
  [
    'workbench/views',
    /^workbench\/views\//,
    [...state, 'workbench/documents', 'engine/arch/disassembler'],
    ['vscode'],
  ],
  [
    'workbench/commands',
    /^workbench\/commands\//,
    [...state, 'workbench/documents', 'workbench/session', 'workbench/views'],
    ['vscode', 'shlex'],
  ],
  [
    'workbench/debugging',
    /^workbench\/debugging\//,
    [...state, 'workbench/documents', 'workbench/session', 'debug'],
    ['vscode', '@vscode/debugadapter', '@vscode/debugprotocol'],
  ],
  [
    'workbench',
    /^workbench\//,
    [
      ...state,
      ...['documents', 'engine_thread', 'session', 'views', 'commands', 'debugging'].map(
        (room) => `workbench/${room}`,
      ),
    ],
    ['vscode'],
  ],
];

/** The only file that calls into C. */
const KOFFI = 'engine/process/system_calls.ts';

/** Name of the room of a file, given by its path below extension/. */
export function roomOf(path) {
  return ROOMS.find(([, pattern]) => pattern.test(path))?.[0];
}

/**
 * What is wrong with an import, in one sentence; undefined when it is allowed.
 * @param path of the importing file, below extension/
 * @param specifier as it is written in the import
 */
export function objection(path, specifier) {
  const room = ROOMS.find(([, pattern]) => pattern.test(path));
  if (!room) return `${path} belongs to no room of scripts/layers.mjs`;
  const [name, , rooms, packages] = room;
  if (!specifier.startsWith('.')) {
    if (specifier.startsWith('node:')) return undefined;
    const parts = specifier.split('/');
    const wanted = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
    if (wanted === 'koffi' && path !== KOFFI) return `only extension/${KOFFI} touches koffi`;
    return packages.includes(wanted) ? undefined : `${name} may not import the package ${wanted}`;
  }
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  if (target.startsWith('../')) {
    return target === '../package.json' ? undefined : `${name} may not import ${target}`;
  }
  const other = roomOf(`${target}.ts`);
  if (other === name || (other !== undefined && rooms.includes(other))) return undefined;
  return `${name} may not import ${other ?? target} (scripts/layers.mjs)`;
}
