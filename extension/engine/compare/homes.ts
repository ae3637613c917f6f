// Which functions of the process a fresh one may be, and which of them it is. Two passes of unit.ts: finding homes by
// name, and choosing among those whose code was compared.
import type { ElfSymbol } from '../elf/file';
import type { ObjectFunction } from '../elf/object';
import type { Bodies, LiveFunction } from '../live/functions';
import type { LiveImage, LiveSymbol } from '../live/live_image';
import type { Closures } from './closures';
import { type Correlation, isNumbered } from './correlate';
import type { Expectation, Home, Match } from './match';

/** A fresh function and the live ones that it may be. */
export interface Tried {
  fn: ObjectFunction;
  homes: readonly Home[];
}

/** Finds the functions of the process that a fresh one may be, by its names. */
export class Homes {
  /** Bodies that some entry jumps to now. */
  private readonly redirected: ReadonlySet<number | undefined>;
  /** Functions of patches that are versions of older ones: their patch redirected an entry to them. */
  private readonly versions: ReadonlySet<number>;

  constructor(
    private readonly correlation: Correlation,
    live: LiveImage,
    private readonly bodies: Bodies,
    private readonly closures: Closures,
  ) {
    this.redirected = new Set([...bodies.values()].map(({ current }) => current?.address));
    this.versions = new Set(live.patches.flatMap((patch) => patch.fixes.map(({ body }) => body)));
  }

  of(fn: ObjectFunction): LiveFunction[] {
    if (fn.object.isPrivate(fn)) return [];
    const homes = new Map<number, LiveFunction>();
    const names: ElfSymbol[] = [fn.symbol, ...fn.aliases.filter((other) => other !== fn.symbol)];
    const candidates = names.flatMap((name) => this.correlation.candidates(name));
    for (const candidate of this.closures.order(candidates, fn.symbol.name)) {
      if (homes.has(candidate.address) || candidate.size === 0 || this.isVersion(candidate)) continue;
      const body = this.bodies.get(candidate.address);
      homes.set(candidate.address, {
        entry: candidate.address,
        size: candidate.size,
        image: candidate.image,
        name: candidate.name,
        current: body?.current,
        versions: body?.versions ?? [],
      });
    }
    return [...homes.values()];
  }

  /** A version is not a place that callers know. */
  private isVersion({ address, image }: LiveSymbol): boolean {
    return this.redirected.has(address) || (image.patch !== undefined && this.versions.has(address));
  }
}

/** The home of each function. Functions whose code agrees choose first, so that numbered twins do not take each other's
 * place. */
export function chooseHomes(tried: readonly Tried[]): Map<ObjectFunction, Home> {
  const taken = new Set<number>();
  const chosen = new Map<ObjectFunction, Home>();
  for (const wanted of ['current', 'original', 'any'] as const) {
    for (const { fn, homes } of tried) {
      if (chosen.has(fn)) continue;
      const pick = homes.find(
        (home) =>
          !(taken.has(home.live.entry) && isNumbered(fn.symbol.name)) &&
          (wanted === 'any' || home[wanted].equal),
      );
      if (!pick) continue;
      chosen.set(fn, pick);
      taken.add(pick.live.entry);
    }
  }
  return chosen;
}

/**
 * The home of a part (of a coroutine, `.cold`) that belongs to the version which its function is equal to: code of the
 * same bytes, in several versions, tells by what it refers to which it is.
 * @returns undefined when the function is equal to none of which all parts are as they are
 */
export function homeInVersion(
  { current, original }: Home,
  part: ObjectFunction,
  isPart: (fn: ObjectFunction) => boolean,
  homesOf: (fn: ObjectFunction) => readonly Home[],
): Home | undefined {
  for (const { equal, expectations } of [current, original]) {
    if (!equal) continue;
    const parts = new Map<ObjectFunction, Home | undefined>();
    for (const each of expectations)
      if (each.kind === 'function' && each.offset === 0 && isPart(each.target)) {
        const { target, address } = each;
        parts.set(
          target,
          homesOf(target).find((home) => home.live.entry === address && home.current.equal),
        );
      }
    if ([...parts.values()].every((home) => home)) return parts.get(part);
  }
  return undefined;
}

/** What a part refers to outside of its function: it tells versions apart whose bytes are the same, where a call was
 * edited. */
export function leaving({ expectations }: Match, isInside: (fn: ObjectFunction) => boolean): Expectation[] {
  return expectations.filter((each) => each.kind !== 'function' || !isInside(each.target));
}
