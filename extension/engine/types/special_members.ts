// Which of the members that a class declares make a copy of its value more than a copy of its bytes (C++ standard,
// [class.temporary]): a destructor, constructors from another object. Reads what the debug information of the class says;
// what follows for its values is said in passing.ts.
import * as dw from '../dwarf/constants';
import { Die } from '../dwarf/die';
import type { Dwarf } from '../dwarf/dwarf';
import { isTransparent } from './attributes';
import type { SpecialMembers, TypeEntry } from './entries';

/** DWARF 5, 7.15. */
const DW_CC_pass_by_reference = 4;
const DW_CC_pass_by_value = 5;
/** DWARF 5, 7.34: as a part of the class. What is defaulted outside of it counts as written. */
const DW_DEFAULTED_in_class = 1;

/** @param die the class */
export function noSpecialMembers(die: Die): SpecialMembers {
  const convention = die.number(dw.DW_AT_calling_convention);
  const passing =
    convention === DW_CC_pass_by_reference
      ? 'address'
      : convention === DW_CC_pass_by_value
        ? 'bytes'
        : undefined;
  return { passing, destructor: false, copies: [], moveAssignment: false };
}

/** @param die a function that the class declares or defines in its body */
export function readSpecialMember(dwarf: Dwarf, die: Die, owner: TypeEntry): void {
  // Implicit members are there only where a unit uses them, and are no others than those of its parts.
  if (die.flag(dw.DW_AT_artificial)) return;
  const name = die.string(dw.DW_AT_name);
  if (name === undefined || owner.name === undefined) return;
  const how = die.flag(dw.DW_AT_deleted)
    ? 'deleted'
    : die.number(dw.DW_AT_defaulted) === DW_DEFAULTED_in_class
      ? 'defaulted'
      : 'written';
  const { special } = owner;
  if (name.startsWith('~')) special.destructor ||= how !== 'defaulted';
  else if (owner.name.includes(name) && name === ownName(dwarf, owner)) {
    const from = fromAnother(dwarf, die, owner);
    if (from) special.copies.push(from.hasMore ? 'perhaps' : how);
  } else if (name === 'operator=' && fromAnother(dwarf, die, owner)?.by === 'move')
    special.moveAssignment = true;
}

/** What the constructors of a class are called: its name without what qualifies it and without arguments of a template. */
function ownName(dwarf: Dwarf, { address }: TypeEntry): string | undefined {
  const die = dwarf.die(address);
  // One that is defined outside of what it belongs to has its name there.
  const declaration = die.reference(dw.DW_AT_specification);
  const named = declaration === undefined ? die : dwarf.die(declaration);
  return named.string(dw.DW_AT_name)?.replace(/<.*$/, '');
}

/** Is its first argument another object of the class, and has it more? */
function fromAnother(
  dwarf: Dwarf,
  { unit, next, hasChildren }: Die,
  owner: TypeEntry,
): { by: 'copy' | 'move'; hasMore: boolean } | undefined {
  if (!hasChildren) return undefined;
  const child = new Die(dwarf);
  const parameters: number[] = [];
  for (let at = next; ; at = child.next) {
    child.read(unit, at);
    if (child.tag !== dw.DW_TAG_formal_parameter || child.hasChildren) break;
    const type = child.reference(dw.DW_AT_type);
    if (!child.flag(dw.DW_AT_artificial) && type !== undefined) parameters.push(type);
  }
  const [type, ...others] = parameters;
  if (type === undefined) return undefined;
  const reference = dwarf.die(type);
  const isMove = reference.tag === dw.DW_TAG_rvalue_reference_type;
  if (!isMove && reference.tag !== dw.DW_TAG_reference_type) return undefined;
  let target = reference.reference(dw.DW_AT_type);
  for (let depth = 0; target !== undefined && depth < 16; depth++) {
    if (target === owner.address) return { by: isMove ? 'move' : 'copy', hasMore: others.length > 0 };
    const die = dwarf.die(target);
    if (!isTransparent(die.tag)) return undefined;
    target = die.reference(dw.DW_AT_type);
  }
  return undefined;
}
