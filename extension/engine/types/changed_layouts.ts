// A type that is laid out otherwise than in the process, as far as it matters for making its objects anew: both layouts, for
// the header that a program includes; and what stands in the way, because there are objects that nobody could enumerate.
// Decides nothing about a save (save/migrations.ts).
import { createHash } from 'node:crypto';
import { holdersIn } from './concerned';
import { describe } from './describe';
import type { TypeEntry } from './entries';
import { layoutText } from './layout_text';
import type { Side } from './side';
import type { UnitTypes } from './types';

export interface ChangedLayout {
  /** Qualified. */
  name: string;
  keyword: string;
  /** The refusal that stands for it, by its message. */
  message: string;
  /** In which the type is defined, as it is now; undefined when the compiler did not say. */
  file: string | undefined;
  /** By which a layout is known. */
  before: string;
  after: string;
  /** In bytes. */
  sizes: { before: number; after: number };
  /** Why objects of it cannot be made anew, as far as types and variables say. */
  obstacles: () => string[];
  /** Sources of the module that may use the type and do not include the file that defines it. */
  knownBeside: () => string[];
  /** C and C++, for the function that makes an object anew. */
  header: () => string;
}

interface Defined {
  types: UnitTypes;
  entry: TypeEntry;
}

/** By which a layout is known from one save to the next. */
export function layoutKey(types: UnitTypes, entry: TypeEntry): string {
  return createHash('sha256').update(layoutText(types, entry)).digest('hex').slice(0, 32);
}

/** The same of the type of that name; undefined when there is none. */
export function layoutKeyOf({ types }: Side, name: string): string | undefined {
  const entry = types.registry.types.get(name);
  return entry && layoutKey(types, entry);
}

/** What malloc aligns its memory to. */
const MOST_ALIGNED = 16;

/** Why objects of a type cannot be made anew.
 * @param before the type as it is in the process, `now` as it is compiled
 * @param units of the process that may have objects of the type */
export function obstaclesOf(before: Defined, now: Defined, units: readonly UnitTypes[]): string[] {
  const name = now.entry.name!;
  const obstacles: string[] = [];
  if (name.includes('<')) return ['it is an instance of a template'];
  const sides = [before, now];
  if (sides.some(({ entry }) => entry.kind !== 'struct'))
    return ['only objects of structures and classes can be made anew'];
  if (sides.some(({ entry }) => entry.twin)) obstacles.push('several types of a unit have that name');
  if (sides.some(({ entry }) => entry.alignment > MOST_ALIGNED))
    obstacles.push(`it is aligned to more than ${MOST_ALIGNED} bytes`);
  if (basesText(before) !== basesText(now)) obstacles.push('its base classes are others');
  if (virtualsText(before) !== virtualsText(now)) obstacles.push('its virtual functions are others');
  const found = new Set<string>();
  for (const types of new Set([...sides.map((side) => side.types), ...units]))
    for (const text of objectsIn(types, name)) found.add(text);
  return [...obstacles, ...found];
}

const basesText = ({ types, entry }: Defined): string =>
  entry.bases.map(({ type, location }) => `${describe(types, type)} ${location}`).join();

const virtualsText = ({ entry }: Defined): string =>
  entry.virtuals.map(({ symbol, slot }) => `${symbol} ${slot}`).join();

/** Objects that are a part of something else, or may be. */
function objectsIn(types: UnitTypes, name: string): string[] {
  const { registry } = types;
  const isOne = (type: number): boolean => types.valueType(type)?.name === name;
  const found: string[] = [];
  for (const entries of registry.variables.values())
    for (const variable of entries)
      if (isOne(variable.type)) found.push(`the variable \`${variable.name}\` is one, or has some`);
  if ([...registry.locals].some(isOne))
    found.push('a variable of a function or of the unit is one, or has some');
  for (const { returns, parameters } of registry.functions.values())
    if ([...(returns === undefined ? [] : [returns]), ...parameters].some(isOne)) {
      found.push('functions take or return values of it');
      break;
    }
  for (const { entry, how } of holdersIn(types).get(name) ?? [])
    found.push(`\`${entry.keyword} ${entry.name ?? '(unnamed)'}\` consists of it (${how})`);
  for (const [instance, entry] of registry.types)
    if (entry.size > 1 && instance !== name && hasValueArgument(instance, name))
      found.push(`\`${instance}\` may hold values of it`);
  return found;
}

/** Templates that have pointers to what they are made of. */
const BY_POINTER = new Set([
  'std::unique_ptr',
  'std::default_delete',
  'std::__uniq_ptr_impl',
  'std::__uniq_ptr_data',
  'std::__1::unique_ptr',
  'std::__1::default_delete',
]);

/** Is a type itself, not a pointer to it, an argument of a template in a name, which is not known to have pointers? */
export function hasValueArgument(instance: string, name: string): boolean {
  const open: string[] = [];
  let start = 0;
  for (let at = 0; at < instance.length; at++) {
    const character = instance[at]!;
    if (character === '<') {
      open.push(instance.slice(start, at).trim());
      start = at + 1;
    } else if (character === ',' || character === '>') {
      const argument = instance
        .slice(start, at)
        .replace(/\b(const|volatile|struct|class)\b/g, '')
        .trim();
      const bareArgument = argument.replace(/\s*\[\d*\]$/, '').trim();
      if (bareArgument === name && open.length > 0 && !BY_POINTER.has(open.at(-1)!)) return true;
      if (character === '>') open.pop();
      start = at + 1;
    }
  }
  return false;
}

/** The header: a macro for the size and one for each member's offset, of both layouts. */
export function headerOf(before: Defined, now: Defined): string {
  const name = now.entry.name!;
  const word = name.replace(/\W+/g, '_');
  const guard = `HOT_FIX_LAYOUTS_${word}`;
  return `/* \`${now.entry.keyword} ${name}\`: as it is in the running process (BEFORE), and as the text has it that was saved (AFTER).
 * Written by Hot Patch, for hot_fix_migrate (hot_fix.h). A save that is refused writes it anew.
 *
 *   long points = HOT_FIX_MEMBER(object->before, long, HOT_FIX_BEFORE_${word}_points);
 *
 * is what a member of the old object holds, by its type and its place. */
#ifndef HOT_FIX_MEMBER
#define HOT_FIX_MEMBER(object, type, offset) (*(type const *)((const char *)(object) + (offset)))
#endif

#ifndef ${guard}
#define ${guard}
${macrosOf(`HOT_FIX_BEFORE_${word}`, before)}
${macrosOf(`HOT_FIX_AFTER_${word}`, now)}
#endif
`;
}

function macrosOf(prefix: string, { types, entry }: Defined): string {
  const lines = [`#define ${prefix}_size ${entry.size}`];
  for (const { name, offset, bits, type } of types.keys.members(entry)) {
    const text = describe(types, type).replace(/\*\//g, '* /');
    const size = types.sizes.sizeOf(type);
    if (bits !== 0)
      lines.push(
        `/* ${name}: ${text}, ${bits} bits from bit ${offset % 8} of the byte at ${Math.floor(offset / 8)} */`,
      );
    else if (/^\w+$/.test(name))
      lines.push(
        `#define ${prefix}_${name} ${offset / 8} /* ${text}${size === undefined ? '' : `, ${size} bytes`} */`,
      );
  }
  return `${lines.join('\n')}\n`;
}
