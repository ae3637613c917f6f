// Single attributes of entries, as every DWARF version and both compilers write them. Numbers in brackets are sections
// of DWARF 5.
import * as dw from '../dwarf/constants';
import type { Die } from '../dwarf/die';
import { uleb } from '../elf/leb128';
import { HotPatchError } from '../model/errors';

export const SUPPLEMENTARY =
  'parts of the debug information are in another file, which was not found (dwz, or missing type units)';

/** A reference to another entry; one that leads out of the file makes the unit incomparable.
 * @throws HotPatchError `unsupported-object` */
export function reference(die: Die, attribute: number): number | undefined {
  const target = die.reference(attribute);
  if (target === undefined && die.has(attribute))
    throw new HotPatchError('unsupported-object', SUPPLEMENTARY);
  return target;
}

export const linkageName = (die: Die): string | undefined =>
  die.string(dw.DW_AT_linkage_name) ?? die.string(dw.DW_AT_MIPS_linkage_name);

export function isSupplementary(form: number): boolean {
  return (
    form === dw.DW_FORM_GNU_ref_alt ||
    form === dw.DW_FORM_GNU_strp_alt ||
    form === dw.DW_FORM_ref_sup4 ||
    form === dw.DW_FORM_ref_sup8 ||
    form === dw.DW_FORM_strp_sup
  );
}

export function isAggregate(tag: number): boolean {
  return tag === dw.DW_TAG_structure_type || tag === dw.DW_TAG_class_type || tag === dw.DW_TAG_union_type;
}

/** Tags that change nothing about where the bytes of an object are and what they mean. */
export function isTransparent(tag: number): boolean {
  return (
    tag === dw.DW_TAG_typedef ||
    tag === dw.DW_TAG_const_type ||
    tag === dw.DW_TAG_volatile_type ||
    tag === dw.DW_TAG_restrict_type ||
    tag === dw.DW_TAG_atomic_type ||
    tag === dw.DW_TAG_immutable_type
  );
}

/** Offset in bytes of a member (5.7.6): a constant, or before DWARF 3 an expression that adds one. */
export function memberLocation(die: Die): number {
  const expression = die.block(dw.DW_AT_data_member_location);
  if (expression) return expression[0] === dw.DW_OP_plus_uconst ? uleb(expression, 1) : 0;
  return die.number(dw.DW_AT_data_member_location) ?? 0;
}

/** Slot of a virtual function (5.7.8): a constant, or an expression that pushes one. */
export function slotOf(die: Die): number | undefined {
  const expression = die.block(dw.DW_AT_vtable_elem_location);
  if (!expression) return die.number(dw.DW_AT_vtable_elem_location);
  return expression[0] === dw.DW_OP_constu ? uleb(expression, 1) : undefined;
}

/** Value of an enumerator, exact also where a number would not be. */
export function constantOf(die: Die): string {
  const block = die.block(dw.DW_AT_const_value);
  if (block) return block.toString('hex');
  return String(die.number(dw.DW_AT_const_value) ?? '');
}

export function countOf(die: Die): string {
  const count = die.number(dw.DW_AT_count);
  if (count !== undefined && die.block(dw.DW_AT_count) === undefined) return String(count);
  const upper = die.number(dw.DW_AT_upper_bound);
  if (upper === undefined || die.block(dw.DW_AT_upper_bound) !== undefined) return '?';
  // The bound may be a reference to a variable's entry (a VLA), which says nothing here.
  const form = die.form(dw.DW_AT_upper_bound);
  if (form >= dw.DW_FORM_ref_addr && form <= dw.DW_FORM_ref_udata) return '?';
  // `T x[0]` has the upper bound -1, which some compilers write unsigned.
  return upper >= 0xffffffff ? '0' : String(upper + 1);
}

/** An expression that is an address of a static object or of a thread-local one (2.6.1). */
export function isAddress(expression: Buffer): boolean {
  switch (expression[0]) {
    case dw.DW_OP_addr:
    case dw.DW_OP_addrx:
    case dw.DW_OP_GNU_addr_index:
      return true;
    // Thread-local: an offset, then DW_OP_form_tls_address or its GNU twin.
    case dw.DW_OP_const4u:
    case dw.DW_OP_const8u:
    case dw.DW_OP_constx:
    case dw.DW_OP_GNU_const_index: {
      const last = expression.at(-1);
      return last === dw.DW_OP_form_tls_address || last === dw.DW_OP_GNU_push_tls_address;
    }
    default:
      return false;
  }
}
