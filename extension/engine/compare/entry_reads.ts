// Data at the entry of a function (prologue data) that other code reads by the function's name: clang does so where it
// takes a pointer to hold that function's address and nothing else. It reads the distance there and adds it to the
// pointer; with a pointer to any other function it would read from anywhere. So such code is only right in a process in
// which the pointer can have led nowhere else, as in that of code which ran before and took the same for granted. Used by
// save/plan.ts and link/select.ts.
import type { Architecture } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { Reference } from './object_references';
import type { UnitComparison } from './unit';

interface EntryRead {
  target: ObjectFunction;
  /** Offset from its entry. */
  within: number;
}

/** What data of an entry a field of code refers to. The first byte is that of the function itself. */
function entryRead(
  arch: Architecture,
  object: ObjectFile,
  { symbol: index, addend, beyond }: Reference,
): EntryRead | undefined {
  const symbol = object.symbol(index);
  const section = object.sectionOf(symbol);
  if (!section || !(section.flags & abi.SHF_EXECINSTR)) return undefined;
  const at = symbol.value + addend + beyond;
  const target = object.functionAt(section, at);
  if (!target || at === target.offset) return undefined;
  const within = at - target.offset;
  return within < arch.entryDataSize(object.code(target)) ? { target, within } : undefined;
}

/** Does the function that `reader` is in the process read the same data? */
function wasReadBefore(
  comparison: UnitComparison,
  reader: ObjectFunction,
  { target, within }: EntryRead,
): boolean {
  const from = comparison.of(reader).live;
  const to = comparison.of(target).live;
  const code = from?.image.bytes(from.entry, from.size);
  if (!from || !to || !code) return false;
  const place = to.entry + within - from.entry;
  return comparison.references.arch.relativeFields(code).some((field) => field.target === place);
}

/** The functions whose entries are read by the names that new code knows them by, as old code does: nothing else than
 * their entries may be meant by these names. */
export function readByName(comparison: UnitComparison): ReadonlySet<ObjectFunction> {
  const { object, references, functions } = comparison;
  const found = new Set<ObjectFunction>();
  for (const { fn } of functions)
    for (const reference of references.of(fn)) {
      const read = entryRead(references.arch, object, reference);
      if (read && !found.has(read.target) && wasReadBefore(comparison, fn, read)) found.add(read.target);
    }
  return found;
}

/** Why code with such a field is refused. */
export function guessesPointer(
  comparison: UnitComparison,
  fn: ObjectFunction,
  reference: Reference,
): string | undefined {
  const read = entryRead(comparison.references.arch, fn.object, reference);
  if (!read || wasReadBefore(comparison, fn, read)) return undefined;
  return `${fn.symbol.name} checks the function that a pointer leads to (-fsanitize=function) as if it could be none but ${read.target.symbol.name}: a pointer of the process may lead to another`;
}
