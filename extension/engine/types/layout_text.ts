// How a type is laid out, a line for each part: two of them side by side show what an edit moved. For people; nothing is
// decided by it.
import { describe } from './describe';
import type { TypeEntry } from './entries';
import type { UnitTypes } from './types';

/** Offsets and sizes in bytes, those of bit-fields in bits behind a point. */
export function layoutText(types: UnitTypes, entry: TypeEntry): string {
  const head = `${entry.keyword} ${entry.name ?? ''}: ${entry.size} bytes`;
  const rows =
    entry.kind === 'enum'
      ? entry.enumerators.map(({ name, value }) => ['', '', `${name} = ${value}`])
      : [...bases(types, entry), ...members(types, entry), ...virtuals(entry)];
  const columns = entry.kind === 'enum' ? [] : [['offset', 'size', 'part']];
  const lines = [...columns, ...rows].map(
    ([offset = '', size = '', part = '']) => `${offset.padStart(8)} ${size.padStart(6)}  ${part}`,
  );
  return `${[head, ...lines].join('\n')}\n`;
}

function bases(types: UnitTypes, { bases: all }: TypeEntry): string[][] {
  return all.map(({ type, location }) => [
    /^\d+$/.test(location) ? location : '',
    String(types.sizes.sizeOf(type) ?? ''),
    `base ${describe(types, type)}${/^\d+$/.test(location) ? '' : ' (virtual)'}`,
  ]);
}

function members(types: UnitTypes, entry: TypeEntry): string[][] {
  return types.keys
    .members(entry)
    .map(({ name, offset, bits, type }) => [
      `${Math.floor(offset / 8)}${offset % 8 === 0 ? '' : `.${offset % 8}`}`,
      bits === 0 ? String(types.sizes.sizeOf(type) ?? '') : `.${bits}`,
      `${describe(types, type)} ${name}`,
    ]);
}

function virtuals({ virtuals: all }: TypeEntry): string[][] {
  return all.map(({ name, slot }) => ['', '', `virtual ${name}, slot ${slot}`]);
}
