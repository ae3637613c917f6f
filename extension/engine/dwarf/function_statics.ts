// The static variables of a unit's functions as they are declared: in which function, where, of what type. Their names in
// the symbol table are counted (`counter.3`, `f.counter.1`, `_ZZ1fvE7counter_0`), and an edit moves the count. Walks all
// entries of a unit.
import type { ElfFile } from '../elf/file';
import { number64 } from '../elf/integers';
import { uleb } from '../elf/leb128';
import * as dw from './constants';
import { Die } from './die';
import type { Dwarf } from './dwarf';
import { declarationOf } from './functions';
import { reading } from './malformed';
import { entriesOf } from './split';
import type { Unit } from './units';

export interface FunctionStatic {
  name: string;
  /** Symbol of the function (C++: its linkage name). */
  owner: string;
  /** 1-based; 0 when the compiler did not say. */
  line: number;
  type: string;
  /** Virtual address; in a relocatable file the offset in `section`. */
  address: number;
  section?: number;
}

/**
 * Those that have a place in memory, each once, in the order of their lines; thread-local ones are not among them.
 * @throws HotPatchError `layout-unchecked` when the unit's entries are in a .dwo file that is not there.
 * @throws HotPatchError `unsupported-object` when it is malformed.
 */
export function functionStatics(elf: ElfFile, unit: Unit): FunctionStatic[] {
  return reading(elf.path, () => {
    const { dwarf, header } = entriesOf(elf, unit);
    const found = new Map<string, FunctionStatic>();
    const die = new Die(dwarf);
    const origin = new Die(dwarf);
    /** The function around the entries of each level; empty outside of functions. */
    const owners = [''];
    for (let at = header.firstDie; at < header.end; at = die.next) {
      die.read(header, at);
      if (die.tag === 0) {
        owners.pop();
        continue;
      }
      const owner = owners.at(-1) ?? '';
      const isFunction = die.tag === dw.DW_TAG_subprogram || die.tag === dw.DW_TAG_inlined_subroutine;
      const place = die.tag === dw.DW_TAG_variable && owner !== '' ? placeOf(dwarf, die) : undefined;
      const declared = isFunction || place ? declarationOf(dwarf, die, header, origin) : undefined;
      if (place && declared?.name !== undefined)
        found.set(`${place.section}:${place.address}`, {
          name: declared.name,
          owner,
          line: declared.line ?? 0,
          type: typeOf(dwarf, die),
          ...place,
        });
      if (die.hasChildren)
        owners.push(isFunction ? (declared?.symbol ?? `${owner}:${declared?.name ?? ''}`) : owner);
    }
    return [...found.values()].sort((a, b) => a.line - b.line);
  });
}

/** Where a variable lies, when that is one address (2.6.1.1.2). */
function placeOf(dwarf: Dwarf, die: Die): Pick<FunctionStatic, 'address' | 'section'> | undefined {
  const { unit } = die;
  const location = die.block(dw.DW_AT_location);
  switch (location?.[0]) {
    case dw.DW_OP_addr: {
      const section = unit.section.sectionOf(location.byteOffset - unit.bytes.byteOffset + 1);
      return { address: number64(location, 1), ...(section !== undefined && { section }) };
    }
    case dw.DW_OP_addrx:
    case dw.DW_OP_GNU_addr_index:
      return dwarf.addressByIndex(unit, uleb(location, 1));
    default:
      return undefined;
  }
}

/** Enough of a type to tell two declarations apart: the names on the way to it. */
function typeOf(dwarf: Dwarf, variable: Die): string {
  const names: string[] = [];
  const entry = new Die(dwarf);
  let next = variable.reference(dw.DW_AT_type) ?? typeOfOrigin(dwarf, variable);
  for (let depth = 0; next !== undefined && depth < 8; depth++) {
    dwarf.die(next, entry);
    names.push(`${entry.tag} ${entry.string(dw.DW_AT_name) ?? ''} ${entry.number(dw.DW_AT_byte_size) ?? ''}`);
    next = entry.reference(dw.DW_AT_type);
  }
  return names.join('/');
}

function typeOfOrigin(dwarf: Dwarf, variable: Die): number | undefined {
  const origin = variable.reference(dw.DW_AT_abstract_origin);
  return origin === undefined ? undefined : dwarf.die(origin).reference(dw.DW_AT_type);
}
