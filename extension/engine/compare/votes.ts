// Which live variable a writable data symbol of the object is. Names decide, except between the numbered statics of
// functions (`counter.3`), whose numbers mean nothing: there declarations decide (static_variables.ts), and unchanged functions vote by what they refer to. A pass of
// unit.ts; reads no code itself.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { LiveSymbol } from '../live/live_image';
import { type Correlation, isNumbered } from './correlate';
import type { Match } from './match';
import { pairStatics, type StaticVariables, splitVariableOf } from './static_variables';

const GUARD = '_ZGVZ';

export class VariableVotes {
  private readonly variables = new Map<ElfSymbol, LiveSymbol | undefined>();
  private readonly votes = new Map<ElfSymbol, Map<number, number>>();

  constructor(
    private readonly correlation: Correlation,
    private readonly statics: StaticVariables,
  ) {}

  /** The live variable that a writable data symbol of the object is; undefined: it is new. */
  variable(symbol: ElfSymbol): LiveSymbol | undefined {
    if (this.variables.has(symbol)) return this.variables.get(symbol);
    const found = this.findVariable(symbol);
    this.variables.set(symbol, found);
    return found;
  }

  /** Unchanged functions tell which numbered static is which. */
  count(matches: readonly Match[]): void {
    for (const match of matches) {
      if (!match.equal) continue;
      for (const expectation of match.expectations) {
        if (expectation.kind !== 'variable' || !this.isCounted(expectation.symbol)) continue;
        const address = expectation.address - expectation.offset;
        let votes: Map<number, number> | undefined = this.votes.get(expectation.symbol);
        if (!votes) this.votes.set(expectation.symbol, (votes = new Map<number, number>()));
        votes.set(address, (votes.get(address) ?? 0) + 1);
      }
    }
    this.variables.clear();
  }

  /** Statics of one name in one function of which it cannot be told which of the live ones each is. */
  undecided(): ElfSymbol[] {
    return this.statics.several().filter((symbol) => {
      const { fresh, live } = this.statics.family(symbol)!;
      return pairStatics(fresh, live, (other) => this.voted(other)).undecided;
    });
  }

  private isCounted(symbol: ElfSymbol): boolean {
    return isNumbered(symbol.name) || this.statics.family(symbol) !== undefined;
  }

  /** Where unchanged functions have a variable. */
  private voted(symbol: ElfSymbol): number | undefined {
    return [...(this.votes.get(symbol) ?? [])].sort((a, b) => b[1] - a[1])[0]?.[0];
  }

  /** `_ZGVZ1fvE7counter_0` guards `_ZZ1fvE7counter_0` (Itanium C++ ABI, 5.1.4.1), in the process as well. */
  private guard(symbol: ElfSymbol): { live: LiveSymbol | undefined } | undefined {
    if (!symbol.name.startsWith(GUARD)) return undefined;
    const guarded = this.correlation.object.symbols.find(
      ({ name }) => name === `_Z${symbol.name.slice(GUARD.length - 1)}`,
    );
    if (!guarded || !this.statics.family(guarded)) return undefined;
    const live = this.variable(guarded);
    const name = live && `_ZGV${live.name.slice(2)}`;
    const found = live?.image.named(name!).find(({ group }) => group === live.group);
    // One that became necessary by an edit came with a patch.
    return live && !found ? undefined : { live: found };
  }

  /** The part of a variable of the process that a piece of it is now: the compiler had not split it. */
  private wholeAround(symbol: ElfSymbol): LiveSymbol | undefined {
    const piece = this.statics.piece(symbol);
    if (piece === undefined) return undefined;
    const name = splitVariableOf(symbol.name);
    const whole = this.correlation
      .unitSymbols()
      .find(
        (live) =>
          live.name === name && live.type === abi.STT_OBJECT && live.size >= piece.start + piece.length,
      );
    return whole && { ...whole, name: symbol.name, address: whole.address + piece.start, size: symbol.size };
  }

  private findVariable(symbol: ElfSymbol): LiveSymbol | undefined {
    const guard = this.guard(symbol);
    if (guard) return guard.live;
    const family = this.statics.family(symbol);
    if (family && family.live.length > 0)
      return pairStatics(family.fresh, family.live, (other) => this.voted(other)).pairs.get(symbol);
    const whole = this.wholeAround(symbol);
    if (whole) return whole;
    // One that is known to belong to another function is not this one.
    const candidates = this.correlation
      .candidates(symbol)
      .filter((candidate) => !family || !this.statics.isDeclared(candidate));
    if (!isNumbered(symbol.name) || symbol.binding !== abi.STB_LOCAL) return candidates[0];
    const voted = this.votes.get(symbol);
    if (voted?.size) {
      const [address] = [...voted].sort((a, b) => b[1] - a[1])[0]!;
      const found = candidates.find((candidate) => candidate.address === address);
      if (found) return found;
    }
    // Nobody unchanged uses it: what is left over on both sides, in the compiler's order.
    const siblings = this.correlation
      .siblings(symbol)
      .filter((other) => other === symbol || !this.votes.get(other)?.size);
    const spoken = new Set(
      this.correlation.siblings(symbol).flatMap((other) => [...(this.votes.get(other)?.keys() ?? [])]),
    );
    const free = candidates
      .filter((candidate) => !spoken.has(candidate.address))
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
    const bySize = free.filter((candidate) => candidate.size === symbol.size);
    return bySize[siblings.filter((other) => other.size === symbol.size).indexOf(symbol)];
  }
}
