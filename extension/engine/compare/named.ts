// Functions of which the process has several of one name: one of the module, and those of other signatures that patches
// brought. What calls them by name means the one that its definition in the same save is. Pure; used by unit.ts.
import * as abi from '../elf/constants';
import type { ObjectFunction } from '../elf/object';
import type { LiveFunction } from '../live/functions';
import type { LiveImage } from '../live/live_image';
import type { Tried } from './homes';

/** Names that do not say by themselves which function of the process is meant, with the entry of that one; undefined: it
 * is new. */
export type Definitions = ReadonlyMap<string, number | undefined>;

/** Those of one unit. @param liveOf the function of the process that a fresh one is */
export function ambiguousIn(
  tried: readonly Tried[],
  liveOf: (fn: ObjectFunction) => LiveFunction | undefined,
): [name: string, entry: number | undefined][] {
  return tried.flatMap(({ fn, homes }) => {
    const live = liveOf(fn);
    const named = (name: string): LiveFunction[] =>
      homes.flatMap((home) => (home.live.name === name ? [home.live] : []));
    return fn.aliases.flatMap(({ name, binding }): [string, number | undefined][] => {
      const others = named(name);
      if (binding === abi.STB_LOCAL || others.length < (live ? 2 : 1)) return [];
      return [[name, others.find(({ image }) => image === live?.image)?.entry]];
    });
  });
}

/** Does what an address leads to carry the name of a function, and is it that one? Through the loader, a name leads to the
 * module's. */
export function isDefinition(
  live: LiveImage,
  definitions: Definitions,
  name: string,
  address: number,
): boolean {
  if (!definitions.has(name)) return true;
  const entry = definitions.get(name);
  if (entry === undefined || entry === address) return entry === address;
  const isLoaders =
    live.stubTarget(address) === name || live.imageAt(address)?.dynamicAt(address)?.name === name;
  return isLoaders && live.imageAt(entry) === live.module;
}
