// The closure types of a unit (C++ lambdas), by the function that they are written in: what they capture, in the order of
// their declarations. Compilers name closures by numbers, which the next edit changes; this is what tells them apart.
// Reads one unit's entries; decides nothing.
import type { ElfFile } from '../elf/file';
import * as dw from './constants';
import { Die } from './die';
import type { Dwarf } from './dwarf';
import { declarationOf } from './functions';
import { reading } from './malformed';
import { entriesOf } from './split';
import type { UnitHeader } from './unit_headers';
import type { Unit } from './units';

/** What gcc calls a closure type; clang leaves the name out. */
const CLOSURE_NAME = /^<lambda/;

interface Closure {
  enclosing: string;
  file: number;
  line: number;
  column: number;
  isClosure: boolean;
  shape: string;
}

interface Frame {
  enclosing: string;
  closure: Closure | undefined;
}

/**
 * Descriptions of the closure types in each function, by the function's linkage name or, where it has none, its name
 * ('' outside of functions). Two closures whose descriptions are equal are laid out alike and take the same arguments.
 * @throws HotPatchError as functionLines does.
 */
export function closureShapes(elf: ElfFile, unit: Unit): ReadonlyMap<string, readonly string[]> {
  return reading(elf.path, () => {
    const { dwarf, header } = entriesOf(elf, unit);
    const closures = readClosures(dwarf, header).filter(({ isClosure }) => isClosure);
    closures.sort((a, b) => a.file - b.file || a.line - b.line || a.column - b.column);
    const shapes = new Map<string, string[]>();
    for (const { enclosing, shape } of closures)
      shapes.set(enclosing, [...(shapes.get(enclosing) ?? []), shape]);
    return shapes;
  });
}

function readClosures(dwarf: Dwarf, header: UnitHeader): Closure[] {
  const found: Closure[] = [];
  const die = new Die(dwarf);
  const origin = new Die(dwarf);
  const stack: Frame[] = [{ enclosing: '', closure: undefined }];
  let at = header.firstDie;
  while (at < header.end && stack.length > 0) {
    die.read(header, at);
    at = die.next;
    if (die.tag === 0) {
      stack.pop();
      continue;
    }
    const { enclosing, closure } = stack[stack.length - 1]!;
    const frame: Frame = { enclosing, closure: undefined };
    const { hasChildren, tag } = die;
    if (tag === dw.DW_TAG_structure_type || tag === dw.DW_TAG_class_type) {
      const name = die.string(dw.DW_AT_name);
      if (name === undefined || CLOSURE_NAME.test(name)) {
        frame.closure = {
          enclosing,
          file: die.number(dw.DW_AT_decl_file) ?? 0,
          line: die.number(dw.DW_AT_decl_line) ?? 0,
          column: die.number(dw.DW_AT_decl_column) ?? 0,
          isClosure: false,
          shape: `${name ?? ''} ${die.number(dw.DW_AT_byte_size) ?? 0}`,
        };
        found.push(frame.closure);
      }
    } else if (tag === dw.DW_TAG_member && closure) {
      const name = die.string(dw.DW_AT_name) ?? '';
      const offset = die.number(dw.DW_AT_data_member_location) ?? 0;
      closure.shape += ` ${name}@${offset}:${typeText(dwarf, die, origin)}`;
    } else if (tag === dw.DW_TAG_subprogram) {
      const { symbol, name } = declarationOf(dwarf, die, header, origin);
      // In clang's linkage name is the closure's number, which counts within the unit.
      if (closure && name?.startsWith('operator()')) {
        closure.isClosure = true;
        closure.shape += ` ${symbol ?? ''}`;
      }
      frame.enclosing = symbol ?? name ?? '';
    }
    if (hasChildren) stack.push(frame);
  }
  return found;
}

/** What modifies a type, as it is written. */
const MODIFIERS = new Map([
  [dw.DW_TAG_pointer_type, '*'],
  [dw.DW_TAG_reference_type, '&'],
  [dw.DW_TAG_rvalue_reference_type, '&&'],
]);

/** A name for the type of an entry: as far as two types of one program need it to be told apart. */
function typeText(dwarf: Dwarf, die: Die, entry: Die): string {
  let text = '';
  let next = die.reference(dw.DW_AT_type);
  for (let depth = 0; next !== undefined && depth < 8; depth++) {
    const type = dwarf.die(next, entry);
    if (!type) return text;
    text += MODIFIERS.get(type.tag) ?? '';
    const name = type.string(dw.DW_AT_name);
    if (name !== undefined) return text + name;
    next = type.reference(dw.DW_AT_type);
  }
  return text;
}
