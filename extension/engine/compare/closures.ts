// Which closures (C++ lambdas) of the fresh unit are those of the process? Their names count within the function that
// they are written in, or within the unit (clang): an edit that adds, removes or moves one gives names to others. A
// function of a closure may only take the place of one that is of the same closure; else it is a new one, which new code
// reaches, while objects made of the old closure keep their old code. Used by the passes of unit.ts.
import * as abi from '../elf/constants';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { Image, LiveImage, LiveSymbol } from '../live/live_image';

/** Descriptions of the closures in each function, by its linkage name or name; undefined where nothing is known. */
export type ClosureShapes = ReadonlyMap<string, readonly string[]> | undefined;

/** What the debug information says about closures. */
export interface ClosureFacts {
  fresh: () => ClosureShapes;
  /** Of the unit as an image of the process has it; undefined too when the image does not have it. */
  of: (image: Image) => ClosureShapes;
}

interface Mention {
  /** The encoding of what the closure is written in. */
  family: string;
  /** Its number there, with its signature. */
  number: string;
}

/** Itanium C++ ABI, 5.1.6 and 5.1.8: `Z <encoding> E [N [K]] Ul <signature> E [number] _`, and `M Ul …` in the
 * initialiser of a variable. clang: `$_ <number>` where nobody else can name it. */
const MENTION = /(?:Z(\w*?)E(?:NK?)?|([\w]*?)M)(?:Ul(\w*?)E(\d*)_|\d+\$_(\d+))|()K?\d+\$_(\d+)/g;

/** Begins the families of closures that are not written in a function. */
const OUTSIDE = '=';

/** What is outside of the innermost function only says where a closure is used. */
function innermost(encoding: string): string {
  return encoding.slice(encoding.lastIndexOf('Z') + 1);
}

/** The closures that a symbol's name mentions. */
export function closuresIn(name: string): Mention[] {
  if (!/Ul|\$_/.test(name)) return [];
  return [...name.matchAll(MENTION)].map((match) => {
    return {
      family: match[1] === undefined ? `${OUTSIDE}${match[2] ?? ''}` : innermost(match[1]),
      number: match[3] === undefined ? `$${match[5] ?? match[7]}` : `${match[3]}#${match[4]}`,
    };
  });
}

export class Closures {
  private readonly families = new Map<string, { image: Image; renumbered: boolean }>();
  private readonly freshSymbols: readonly string[];

  /** @param imageOf where the text came from that a function of the process runs now, by its symbol */
  constructor(
    private readonly object: ObjectFile,
    private readonly live: LiveImage,
    private readonly facts: ClosureFacts,
    private readonly imageOf: (symbol: string) => Image | undefined,
  ) {
    this.freshSymbols = object.functions.flatMap(({ aliases }) => aliases.map(({ name }) => name));
  }

  /** The live functions that one of a closure may be, the likeliest first: a name means what it meant in the text that
   * runs now. */
  order(symbols: readonly LiveSymbol[], name: string): readonly LiveSymbol[] {
    const [mention] = closuresIn(name);
    if (!mention || symbols.length < 2) return symbols;
    const age = ({ image }: LiveSymbol): number => {
      const now = this.family(mention.family).image.patch ?? -1;
      const patch = image.patch ?? -1;
      // What came later was undone: it is the last that is meant.
      return patch > now ? -2 - patch : patch;
    };
    return [...symbols].sort((a, b) => age(b) - age(a));
  }

  /** Is the live function of that name, in that image, one of the same closure? */
  isSame(fn: ObjectFunction, image: Image): boolean {
    return closuresIn(fn.symbol.name).every(({ family }) => {
      const known = this.family(family);
      return !known.renumbered && (image.patch ?? -1) <= (known.image.patch ?? -1);
    });
  }

  /** The code shows that a closure took another's place. */
  renumber(name: string): void {
    for (const { family } of closuresIn(name)) this.family(family).renumbered = true;
  }

  private family(family: string): { image: Image; renumbered: boolean } {
    let known = this.families.get(family);
    if (!known) {
      const image =
        this.imageOf(`_Z${family}`) ??
        this.imageOf(family.replace(/^\d+/, '')) ??
        this.lastPatch() ??
        this.live.module;
      known = { image, renumbered: this.isRenumbered(family, image) };
      this.families.set(family, known);
    }
    return known;
  }

  /** The last patch of this unit's. */
  private lastPatch(): Image | undefined {
    const { source } = this.object;
    return this.live.patches.findLast(({ groups }) => groups.some(({ name }) => name === source));
  }

  private isRenumbered(family: string, image: Image): boolean {
    const fresh = this.facts.fresh();
    const live = this.facts.of(image);
    if (!fresh || !live) return this.numbersDiffer(family);
    return [...new Set([...fresh.keys(), ...live.keys()])].some(
      (enclosing) =>
        concerns(enclosing, family) && fresh.get(enclosing)?.join('\n') !== live.get(enclosing)?.join('\n'),
    );
  }

  /** Without debug information: does the process have other closures of that family? */
  private numbersDiffer(family: string): boolean {
    const numbers = (names: readonly string[]): string =>
      [
        ...new Set(
          names.flatMap(closuresIn).flatMap((mention) => (mention.family === family ? [mention.number] : [])),
        ),
      ]
        .sort()
        .join();
    const live = [this.live.module, ...this.live.patches].flatMap(({ symbols }) =>
      symbols.flatMap(({ name, type }) => (type === abi.STT_FUNC ? [name] : [])),
    );
    return numbers(this.freshSymbols) !== numbers(live);
  }
}

/** May closures of a family be written in a function, of which the debug information says a linkage name, or a name? */
function concerns(enclosing: string, family: string): boolean {
  if (enclosing === '' || family.startsWith(OUTSIDE)) return enclosing === '' && family.startsWith(OUTSIDE);
  if (enclosing.startsWith('_Z')) return `${innermost(enclosing.slice(2))}E`.startsWith(`${family}E`);
  // A closure's own function, or an operator: it may be anybody's.
  if (!/^\w+$/.test(enclosing)) return true;
  return family.includes(`${enclosing.length}${enclosing}`);
}
