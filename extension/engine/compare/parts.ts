// Functions that compilers cut in several: `foo.cold` belongs to `foo`, and so do the parts of a coroutine. They are compiled,
// compared and replaced as one. Pure; used by unit.ts.
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { ownerOf, withoutCold } from './correlate';
import type { ComparedFunction } from './facts';

/** The function of an object whose part another one is. Nobody else knows its address but, of a coroutine's parts, the
 * coroutines that are suspended: they were laid out for the old code, and end in it. */
export function wholeOf(object: ObjectFile, fn: ObjectFunction): ObjectFunction | undefined {
  const named = (name: string): ObjectFunction | undefined =>
    object.functions.find((other) => other !== fn && other.aliases.some((alias) => alias.name === name));
  const owner = ownerOf(fn.symbol.name);
  if (owner === undefined) return undefined;
  // Of a coroutine that is inlined where it is started, the body is there.
  return named(owner) ?? named(withoutCold(fn.symbol.name));
}

/** Whoever differs has its parts, or what it is a part of, differ with it.
 * @param foreign of which another unit decides: their parts are as they are */
export function joinParts(
  functions: readonly ComparedFunction[],
  parentOf: (fn: ObjectFunction) => ComparedFunction | undefined,
  foreign: ReadonlySet<ObjectFunction>,
): void {
  const children = functions.flatMap((compared) => {
    const parent = parentOf(compared.fn);
    return parent ? [{ compared, parent }] : [];
  });
  const differs = ({ status }: ComparedFunction): boolean => status === 'changed' || status === 'new';
  for (const { compared, parent } of children) {
    if (foreign.has(parent.fn)) compared.status = 'same';
    else if (differs(compared) && !differs(parent)) parent.status = 'changed';
  }
  for (const { compared, parent } of children)
    if (!foreign.has(parent.fn) && differs(parent) && !differs(compared)) compared.status = 'changed';
}
