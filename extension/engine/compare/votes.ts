// Which live variable a writable data symbol of the object is. Names decide, except between the numbered statics of
// functions (`counter.3`), whose numbers mean nothing: there unchanged functions vote by what they refer to. A pass of
// unit.ts; reads no code itself.
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import type { LiveSymbol } from '../live/live_image';
import { type Correlation, isNumbered } from './correlate';
import type { Match } from './match';

export class VariableVotes {
  private readonly variables = new Map<ElfSymbol, LiveSymbol | undefined>();
  private readonly votes = new Map<ElfSymbol, Map<number, number>>();

  constructor(private readonly correlation: Correlation) {}

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
        if (expectation.kind !== 'variable' || !isNumbered(expectation.symbol.name)) continue;
        const address = expectation.address - expectation.offset;
        let votes: Map<number, number> | undefined = this.votes.get(expectation.symbol);
        if (!votes) this.votes.set(expectation.symbol, (votes = new Map<number, number>()));
        votes.set(address, (votes.get(address) ?? 0) + 1);
      }
    }
    this.variables.clear();
  }

  private findVariable(symbol: ElfSymbol): LiveSymbol | undefined {
    const candidates = this.correlation.candidates(symbol);
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
