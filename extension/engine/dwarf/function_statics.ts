// The static variables of a unit whose names in the symbol table are counted, as they are declared: in which function, where,
// of what type. Those of functions are (`counter.3`, `f.counter.1`, `_ZZ1fvE7counter_0`), and so are the pieces into which
// clang splits structures and arrays (`state.0`): an edit moves the count. And the names of all variables, also of those
// that the compiler left out. Walks all entries of a unit.
import type { ElfFile } from '../elf/file';
import { number64 } from '../elf/integers';
import { afterLeb, uleb } from '../elf/leb128';
import * as dw from './constants';
import { Die } from './die';
import type { Dwarf } from './dwarf';
import { type Declaration, declarationOf } from './functions';
import { reading } from './malformed';
import { entriesOf } from './split';
import type { Unit } from './units';

export interface FunctionStatic {
  name: string;
  /** Symbol of the function (C++: its linkage name); empty for pieces of variables outside of functions. */
  owner: string;
  /** Of a variable that the compiler split: of which of its bytes this is the piece. */
  piece?: { start: number; length: number };
  /** 1-based; 0 when the compiler did not say. */
  line: number;
  type: string;
  /** Virtual address; in a relocatable file the offset in `section`. */
  address: number;
  section?: number;
}

/** What the forms of thread-local variables begin with. */
export const THREAD_LOCAL = 'thread-local ';

/** A variable, by its function (empty: of none) and the name that it has in the source. */
export const nameIn = (owner: string, name: string): string => `${owner}\n${name}`;

/**
 * All variables that a unit defines, by nameIn, whether they have a place in memory or not.
 * @returns how each is made of what lies at its place: the rest of its DWARF expression (2.5.1), in hexadecimal; of a
 * thread-local one, which of its bytes have a place
 * @throws HotPatchError as functionStatics does.
 */
export function definedVariables(elf: ElfFile, unit: Unit): ReadonlyMap<string, string> {
  return reading(elf.path, () => {
    const found = new Map<string, string>();
    forEachVariable(elf, unit, (die, { name }, owner) => {
      if (name !== undefined && owner !== undefined) found.set(nameIn(owner, name), formOf(die));
    });
    return found;
  });
}

function formOf(die: Die): string {
  const location = die.block(dw.DW_AT_location);
  const isIndexed = location?.[0] === dw.DW_OP_addrx || location?.[0] === dw.DW_OP_GNU_addr_index;
  if (!location) return '';
  if (!isIndexed && location[0] !== dw.DW_OP_addr) return threadLocalForm(location);
  return Buffer.from(location.subarray(isIndexed ? afterLeb(location, 1) : 9)).toString('hex');
}

function threadLocalForm(location: Buffer): string {
  const pieces: string[] = [];
  let isThreadLocal = false;
  let hasPlace = false;
  let done = 0;
  for (let at: number | undefined = 0; at !== undefined && at < location.length;) {
    const operator = location[at]!;
    if (operator === dw.DW_OP_form_tls_address || operator === dw.DW_OP_GNU_push_tls_address) {
      isThreadLocal = hasPlace = true;
    } else if (operator === dw.DW_OP_piece) {
      const length = uleb(location, at + 1);
      if (hasPlace) pieces.push(`${done}+${length}`);
      done += length;
      hasPlace = false;
    }
    at = afterOperator(location, at);
  }
  return isThreadLocal ? THREAD_LOCAL + pieces.join(' ') : '';
}

/**
 * Those that have a place in memory, each once, in the order of their lines; thread-local ones are not among them.
 * @throws HotPatchError `layout-unchecked` when the unit's entries are in a .dwo file that is not there.
 * @throws HotPatchError `unsupported-object` when it is malformed.
 */
export function functionStatics(elf: ElfFile, unit: Unit): FunctionStatic[] {
  return reading(elf.path, () => {
    const found = new Map<string, FunctionStatic>();
    forEachVariable(elf, unit, (die, { name, line }, owner, dwarf) => {
      if (name === undefined || owner === undefined) return;
      for (const place of placesOf(dwarf, die))
        if (owner !== '' || place.piece !== undefined)
          found.set(`${place.section}:${place.address}`, {
            name,
            owner,
            line: line ?? 0,
            type: typeOf(dwarf, die),
            ...place,
          });
    });
    return [...found.values()].sort((a, b) => a.line - b.line);
  });
}

/** Calls back for each variable that is not only declared, with the function around it; empty outside of functions. clang
 * 14 puts the statics of a function of C that was inlined wherever it is called into an entry that says nothing of the
 * function: undefined, and the variable's symbol is all that tells whose it is. The entry is reused. */
function forEachVariable(
  elf: ElfFile,
  unit: Unit,
  visit: (die: Die, declared: Declaration, owner: string | undefined, dwarf: Dwarf) => void,
): void {
  const { dwarf, header } = entriesOf(elf, unit);
  const die = new Die(dwarf);
  const origin = new Die(dwarf);
  const owners: (string | undefined)[] = [''];
  for (let at = header.firstDie; at < header.end; at = die.next) {
    die.read(header, at);
    if (die.tag === 0) {
      owners.pop();
      continue;
    }
    const owner = owners.at(-1);
    const isFunction = die.tag === dw.DW_TAG_subprogram || die.tag === dw.DW_TAG_inlined_subroutine;
    const isVariable = die.tag === dw.DW_TAG_variable && !die.has(dw.DW_AT_declaration);
    const declared = isFunction || isVariable ? declarationOf(dwarf, die, header, origin) : undefined;
    if (isVariable && declared) visit(die, declared, owner, dwarf);
    if (die.hasChildren) owners.push(isFunction ? ownerOf(declared!, owner) : owner);
  }
}

/** What tells a function from the others of its unit. */
function ownerOf({ symbol, name }: Declaration, around: string | undefined): string | undefined {
  return symbol ?? (name === undefined || around === undefined ? undefined : `${around}:${name}`);
}

type Place = Pick<FunctionStatic, 'address' | 'section' | 'piece'>;

/** Where a variable lies: at one address (2.6.1.1.2), or in pieces, of which some have none (2.6.1.2). */
function placesOf(dwarf: Dwarf, die: Die): Place[] {
  const location = die.block(dw.DW_AT_location);
  if (!location) return [];
  const places: Place[] = [];
  let begin: number | undefined = 0;
  let done = 0;
  for (let at = 0; at < location.length;) {
    const operator = location[at]!;
    const behind = afterOperator(location, at);
    if (behind === undefined) break;
    if (operator === dw.DW_OP_piece) {
      const place = begin < at ? placeOf(dwarf, die, location, begin) : undefined;
      const length = uleb(location, at + 1);
      if (place) places.push({ ...place, piece: { start: done, length } });
      done += length;
      begin = behind;
    }
    at = behind;
  }
  if (begin > 0) return places;
  const place = placeOf(dwarf, die, location, 0);
  return place ? [place] : [];
}

function placeOf(dwarf: Dwarf, { unit }: Die, location: Buffer, at: number): Place | undefined {
  switch (location[at]) {
    case dw.DW_OP_addr: {
      const section = unit.section.sectionOf(location.byteOffset - unit.bytes.byteOffset + at + 1);
      return { address: number64(location, at + 1), ...(section !== undefined && { section }) };
    }
    case dw.DW_OP_addrx:
    case dw.DW_OP_GNU_addr_index:
      return dwarf.addressByIndex(unit, uleb(location, at + 1));
    default:
      return undefined;
  }
}

/** Where the operator at a place and its operands end (7.7.1); undefined of those that no place of a variable is made with. */
function afterOperator(location: Buffer, at: number): number | undefined {
  const operator = location[at]!;
  switch (operator) {
    case dw.DW_OP_addr:
    case dw.DW_OP_const8u:
    case dw.DW_OP_const8s:
      return at + 9;
    case dw.DW_OP_const4u:
    case dw.DW_OP_const4s:
      return at + 5;
    case dw.DW_OP_const2u:
    case dw.DW_OP_const2s:
      return at + 3;
    case dw.DW_OP_const1u:
    case dw.DW_OP_const1s:
    case dw.DW_OP_deref_size:
      return at + 2;
    case dw.DW_OP_addrx:
    case dw.DW_OP_GNU_addr_index:
    case dw.DW_OP_constx:
    case dw.DW_OP_GNU_const_index:
    case dw.DW_OP_constu:
    case dw.DW_OP_consts:
    case dw.DW_OP_plus_uconst:
    case dw.DW_OP_piece:
      return afterLeb(location, at + 1);
    case dw.DW_OP_deref:
    case dw.DW_OP_stack_value:
    case dw.DW_OP_form_tls_address:
    case dw.DW_OP_GNU_push_tls_address:
      return at + 1;
    default: {
      const isCalculation = operator >= dw.DW_OP_abs && operator <= dw.DW_OP_xor;
      const isLiteral = operator >= dw.DW_OP_lit0 && operator <= dw.DW_OP_lit31;
      return isCalculation || isLiteral ? at + 1 : undefined;
    }
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
