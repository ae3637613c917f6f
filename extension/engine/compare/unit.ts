// Compares one freshly compiled unit with the code in the process: which functions changed against what runs now, which
// are back at the original, which are new. The process is the baseline: two functions are the same when every
// instruction is and every relocated field refers to the same live thing. The constructor is the list of passes.
// Reads both sides; decides nothing about whether a difference may be patched in.
import * as abi from '../elf/constants';
import type { ElfSymbol, Section } from '../elf/file';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { Bodies, LiveFunction } from '../live/functions';
import type { Image, LiveImage, LiveSymbol } from '../live/live_image';
import { closuresIn, Closures } from './closures';
import { CodeComparison } from './code';
import { IDENTITY } from './constants';
import { Correlation, isCoroutinePart, stem } from './correlate';
import { chooseHomes, homeInVersion, Homes, leaving, type Tried } from './homes';
import { LiveReferences } from './live_references';
import type { ComparedFunction, FunctionStatus, UnitFacts } from './facts';
import { FoldedFunctions } from './folded';
import { isReporting } from './instrumentation';
import { DIFFERENT, type Expectation, type Home, type Match } from './match';
import { ambiguousIn, type Definitions, isDefinition } from './named';
import { ObjectReferences } from './object_references';
import { joinParts, wholeOf } from './parts';
import { ReferenceComparison } from './reference_comparison';
import { type Declarations, StaticVariables } from './static_variables';
import { VariableVotes } from './votes';

export class UnitComparison {
  readonly functions: ComparedFunction[] = [];
  readonly correlation: Correlation;
  private readonly variables: VariableVotes;
  readonly references: ObjectReferences;
  private readonly comparison: ReferenceComparison;
  private readonly code: CodeComparison;
  private readonly folded: FoldedFunctions;
  private readonly byFunction = new Map<ObjectFunction, ComparedFunction>();
  private readonly matches = new Map<ObjectFunction, Match>();
  private readonly foreign = new Set<ObjectFunction>();
  private readonly closures: Closures;
  private readonly tried: readonly Tried[];
  private readonly chosen: Map<ObjectFunction, Home>;
  private definitions: Definitions = new Map();
  private readonly comparing = new Set<string>();
  /** Functions that are not those of their name in the process. */
  readonly apart = new Set<ObjectFunction>();

  constructor(
    readonly object: ObjectFile,
    readonly live: LiveImage,
    bodies: Bodies,
    private readonly facts: UnitFacts,
  ) {
    this.correlation = new Correlation(object, live, facts.entries);
    this.variables = new VariableVotes(
      this.correlation,
      new StaticVariables(object, live, facts.declarations),
    );
    this.closures = new Closures(object, live, facts.closures, (name) => this.imageOf(name, bodies));
    const homes = new Homes(this.correlation, live, bodies, this.closures);
    const referred = new LiveReferences(live, () => object.functions.flatMap((fn) => homes.of(fn)));
    this.references = new ObjectReferences(object);
    this.comparison = new ReferenceComparison(object, this.references, live, this.variables, (...range) =>
      referred.includes(...range),
    );
    this.code = new CodeComparison(object, this.references, this.comparison, facts.isUnedited);
    this.folded = new FoldedFunctions(object, this.references, this.correlation);

    // Each fresh function compared with each live one that it may be; what it refers to is noted as expectations.
    const tried = (this.tried = object.functions.map((fn) => ({
      fn,
      homes: homes.of(fn).map((home) => this.tryHome(fn, home)),
    })));
    // From here on a function has its counterpart, or is new.
    const chosen = (this.chosen = chooseHomes(tried));
    this.record(tried, chosen);
    // From here on numbered variables have theirs.
    this.variables.count([...chosen.values()].flatMap(({ current, original }) => [current, original]));
    this.correctByReferences(tried, chosen);
    this.separateWithoutEntry(tried, chosen);
    // From here on an entry that is redirected is nobody else's, but for those that foldedWith names. Expectations can
    // be judged now.
    this.judgeAll();
    // Nothing takes the place of another closure's functions.
    this.separate(this.strangers());
  }

  /**
   * Says of functions that changed that they are others than those of their name in the process, which keep their
   * callers: new functions. What refers to them changes with it, though its code is the same.
   */
  separate(functions: readonly ObjectFunction[]): void {
    for (let found = functions; found.length > 0; found = this.strangers()) {
      for (const fn of found) {
        const compared = this.of(fn);
        compared.live = undefined;
        compared.status = 'new';
        this.chosen.delete(fn);
        this.matches.delete(fn);
        this.apart.add(fn);
      }
      this.judgeAll();
    }
    this.joinParts();
  }

  /** Says of a function that it is the one which a patch brought under its name, the last that has it. False without. */
  takeFromPatch(fn: ObjectFunction, has: (patch: Image) => boolean): boolean {
    const homes = this.tried.find((one) => one.fn === fn)?.homes ?? [];
    const home = homes.findLast(({ live: { image } }) => image.patch !== undefined && has(image));
    if (home) this.choose(fn, home, this.chosen);
    this.judgeAll();
    this.joinParts();
    return home !== undefined;
  }

  ambiguous(): [name: string, entry: number | undefined][] {
    return ambiguousIn(this.tried, (fn) => this.of(fn).live);
  }

  /** Tells which functions are meant by their names: what calls others of these names has changed. */
  useDefinitions(definitions: Definitions): void {
    this.definitions = definitions;
    this.judgeAll();
    this.separate(this.strangers());
  }

  private judgeAll(): void {
    for (const { fn, homes } of this.tried) {
      const home = this.chosen.get(fn);
      if (home) this.of(fn).status = this.judge(fn, home, homes);
    }
  }

  /** Functions of closures that changed and are not certainly those of the same closure. */
  private strangers(): ObjectFunction[] {
    const changed = this.functions.filter(
      ({ fn, live, status }) => live && status === 'changed' && closuresIn(fn.symbol.name).length > 0,
    );
    for (const { fn } of changed) if (this.tookPlace(fn)) this.closures.renumber(fn.symbol.name);
    return [
      ...changed.flatMap(({ fn, live }) => (this.closures.isSame(fn, live!.image) ? [] : [fn])),
      ...this.orphans(),
    ];
  }

  /** Parts of coroutines that changed, whose coroutine is inlined where it is started: those that are suspended end in the
   * old ones. */
  private orphans(): ObjectFunction[] {
    return this.functions.flatMap(({ fn, live, status }) =>
      live && status === 'changed' && isCoroutinePart(fn.symbol.name) && !this.parentOf(fn) ? [fn] : [],
    );
  }

  /** Is a closure's function what another closure's of the same family is in the process? */
  private tookPlace(fn: ObjectFunction): boolean {
    if (this.matches.get(fn)?.equal) return false;
    const own = closuresIn(fn.symbol.name);
    return this.correlation.unitSymbols().some(({ name, type, image, address, size }) => {
      if (type !== abi.STT_FUNC || name === fn.symbol.name) return false;
      const others = closuresIn(name);
      const isSibling =
        own.length === others.length && own.every(({ family }, i) => family === others[i]!.family);
      return isSibling && this.code.compare(fn, image, address, size).equal;
    });
  }

  /** The image that has the text of a function that runs now. */
  private imageOf(name: string, bodies: Bodies): Image | undefined {
    const symbol = this.object.symbols.find((candidate) => candidate.name === name);
    const entry = symbol && this.correlation.candidates(symbol)[0];
    if (!entry) return undefined;
    const current = bodies.get(entry.address)?.current;
    return (current && this.live.imageAt(current.address)) ?? entry.image;
  }

  /** The same unit compared with another state of the process. */
  against(live: LiveImage, bodies: Bodies): UnitComparison {
    return new UnitComparison(this.object, live, bodies, this.facts);
  }

  /** What debug information says about the unit's variables. */
  get declarations(): Declarations {
    return this.facts.declarations;
  }

  of(fn: ObjectFunction): ComparedFunction {
    const compared = this.byFunction.get(fn);
    if (!compared) throw new Error(`${fn.symbol.name} was not compared`);
    return compared;
  }

  /** The live variable that a writable data symbol of the object is; undefined: it is new. */
  variable(symbol: ElfSymbol): LiveSymbol | undefined {
    return this.variables.variable(symbol);
  }

  /** Statics of which it cannot be told which of the live ones each is. */
  undecidedVariables(): ElfSymbol[] {
    return this.variables.undecided();
  }

  /** Is a named constant of the object in the process already, with the same content? */
  constant(section: Section, symbol: ElfSymbol): LiveSymbol | undefined {
    const candidates = this.correlation.candidates(symbol);
    if (IDENTITY.test(symbol.name)) return candidates[0];
    return candidates.find((candidate) => {
      const expectations: Expectation[] = [];
      return (
        this.comparison.constants.sameConstant(section, symbol, candidate.address, expectations) &&
        this.holds(expectations) &&
        // Labels inside a function that is replaced belong to the new version (jump tables, computed gotos), and so
        // do its parts (clang's table of a coroutine's functions).
        expectations.every(
          (expected) =>
            expected.kind !== 'function' ||
            (expected.offset === 0 && !this.parentOf(expected.target)) ||
            this.of(expected.target).status === 'same',
        )
      );
    });
  }

  /** Is a part of a function's code (offsets in it) what live code is? */
  sameRange(
    fn: ObjectFunction,
    range: { start: number; end: number },
    live: Buffer,
    address: number,
  ): boolean {
    const match = this.code.compareRange(fn, range, live, address);
    return match.equal && this.holds(match.expectations);
  }

  /** Does the module's file give a variable the same initial value as the fresh object? */
  sameInitialValue(section: Section, symbol: ElfSymbol, live: LiveSymbol): boolean {
    if (section.type === abi.SHT_NOBITS && live.image.sectionAt(live.address)?.type === abi.SHT_NOBITS)
      return true;
    const expectations: Expectation[] = [];
    return (
      this.comparison.constants.sameConstant(section, symbol, live.address, expectations) &&
      this.holds(expectations)
    );
  }

  private tryHome(fn: ObjectFunction, live: LiveFunction): Home {
    // Its code is elsewhere: it stays as it is.
    if (this.object.isLeftOut(fn)) return { live, current: DIFFERENT, original: DIFFERENT };
    const original = this.code.compare(fn, live.image, live.entry, live.size);
    const image = live.current && this.live.imageAt(live.current.address);
    const current =
      live.current && image
        ? this.code.compare(fn, image, live.current.address, live.current.size)
        : original;
    return { live, current, original };
  }

  private record(tried: readonly Tried[], chosen: ReadonlyMap<ObjectFunction, Home>): void {
    for (const { fn } of tried) {
      const home = chosen.get(fn);
      const compared: ComparedFunction = { fn, status: home ? 'changed' : 'new', live: home?.live };
      this.functions.push(compared);
      this.byFunction.set(fn, compared);
      if (home) this.matches.set(fn, home.current.equal ? home.current : home.original);
    }
  }

  /** A function may match more than one live copy (a coroutine's parts exist in the module and in patches). The right
   * copy is the one whose references agree with the copies that the other functions chose. */
  private correctByReferences(tried: readonly Tried[], chosen: Map<ObjectFunction, Home>): void {
    const taken = new Set([...chosen.values()].map(({ live }) => live.entry));
    const several = tried.filter(({ homes }) => homes.length > 1);
    const homesOf = new Map(tried.map(({ fn, homes }) => [fn, homes]));
    // What one takes shows others what is theirs: as far as a chain of callers reaches.
    for (let corrected = true, round = 0; corrected && round < several.length; round++) {
      corrected = false;
      for (const { fn, homes } of several) {
        const pick = chosen.get(fn);
        const owner = this.parentOf(fn);
        const ownerHome = owner && chosen.get(owner);
        const isPart = (other: ObjectFunction): boolean => this.parentOf(other) === owner;
        const partsOf = (part: ObjectFunction): Home[] =>
          (homesOf.get(part) ?? []).filter(({ current }) =>
            this.holds(leaving(current, (other) => other === owner || isPart(other))),
          );
        const own = ownerHome && homeInVersion(ownerHome, fn, isPart, partsOf);
        if (own && own !== pick) {
          this.choose(fn, own, chosen);
          corrected = true;
        }
        if (own || !pick || this.fits(fn, pick)) continue;
        const better = homes.find((home) => !taken.has(home.live.entry) && this.fits(fn, home));
        if (!better) continue;
        this.choose(fn, better, chosen);
        corrected = true;
      }
    }
  }

  private choose(fn: ObjectFunction, home: Home, chosen: Map<ObjectFunction, Home>): void {
    chosen.set(fn, home);
    this.of(fn).live = home.live;
    this.matches.set(fn, home.current.equal ? home.current : home.original);
  }

  /**
   * A function that differs and was folded with others, or that is too short for a jump, has no entry that could be
   * redirected: it is new, or the one that an earlier patch brought, and its callers go there.
   */
  private separateWithoutEntry(tried: readonly Tried[], chosen: Map<ObjectFunction, Home>): void {
    const homesOf = new Map(tried.map(({ fn, homes }) => [fn, homes]));
    const separable = (fn: ObjectFunction, { live }: Home): boolean => this.folded.isSeparable(fn, live);
    // Its callers differ in turn, and may have no such entry themselves.
    for (let again = true; again;) {
      again = false;
      for (const [fn, pick] of chosen) {
        if (this.object.isLeftOut(fn) || this.fits(fn, pick) || !separable(fn, pick)) continue;
        again = true;
        const compared = this.of(fn);
        const other = homesOf.get(fn)!.find((home) => home !== pick && !separable(fn, home));
        compared.status = other ? 'changed' : 'new';
        compared.live = other?.live;
        if (other) this.choose(fn, other, chosen);
        else {
          chosen.delete(fn);
          this.matches.delete(fn);
        }
      }
    }
  }

  /** Would its references agree with the others if a function were this one? */
  private fits(fn: ObjectFunction, { live, current, original }: Home): boolean {
    return [current, original].some(
      (match) => match.equal && this.holds(match.expectations, { fn, live, match }),
    );
  }

  /** Other functions that would be changed with a function, because they are one with it in the process. */
  foldedWith(fn: ObjectFunction): string[] {
    const { live } = this.of(fn);
    return live ? this.folded.othersAt(fn, live) : [];
  }

  private judge(fn: ObjectFunction, pick: Home, homes: readonly Home[]): FunctionStatus {
    if (this.object.isLeftOut(fn) || isReporting(fn)) return 'same';
    const agree = this.aliasesAgree(fn, pick, homes);
    if (agree && pick.current.equal && this.holds(pick.current.expectations)) return 'same';
    // Another unit's definition may be the live one, compiled in another context. That unit decides.
    const mayBeAnothers = fn.symbol.binding !== abi.STB_LOCAL;
    if (mayBeAnothers && !this.facts.decides(fn, pick.live.image, pick.live.entry)) {
      this.foreign.add(fn);
      return 'same';
    }
    if (agree && pick.live.current && pick.original.equal && this.holds(pick.original.expectations))
      return 'original';
    return 'changed';
  }

  /** What the compiler made one function now may be several in the process: then all of them must be as it is. Not those
   * of its own name, which the module keeps for callers of another signature. */
  private aliasesAgree(fn: ObjectFunction, pick: Home, homes: readonly Home[]): boolean {
    const others = fn.aliases.filter(
      ({ name, binding }) => binding !== abi.STB_LOCAL && name !== pick.live.name,
    );
    const entries = new Set(others.flatMap(({ name }) => this.live.module.global(name)?.address ?? []));
    return homes.every(
      (home) =>
        home === pick ||
        !entries.has(home.live.entry) ||
        (home.current.equal && this.holds(home.current.expectations)),
    );
  }

  /** Parts of functions are judged with them. */
  private joinParts(): void {
    joinParts(this.functions, (fn) => this.parentOf(fn) && this.of(this.parentOf(fn)!), this.foreign);
  }

  /** The function whose part this is. */
  parentOf(fn: ObjectFunction): ObjectFunction | undefined {
    return wholeOf(this.object, fn);
  }

  /** @param if a function were that one: what it refers to in itself (jump tables) is judged by it */
  private holds(
    expectations: readonly Expectation[],
    supposed?: { fn: ObjectFunction; live: LiveFunction; match: Match },
  ): boolean {
    return expectations.every((expectation) => {
      if (expectation.kind === 'variable') {
        const live = this.variable(expectation.symbol);
        return live !== undefined && live.address + expectation.offset === expectation.address;
      }
      if (expectation.kind === 'name')
        return isDefinition(this.live, this.definitions, expectation.name, expectation.address);
      if (this.object.isPrivate(expectation.target))
        return this.isPrivateAt(expectation.target, expectation.address - expectation.offset);
      const isSupposed = expectation.target === supposed?.fn;
      const target = isSupposed ? supposed : this.of(expectation.target);
      if (!target.live) return false;
      if (expectation.offset === 0 && expectation.address === target.live.entry) return true;
      if (expectation.offset === 0 && this.namesMeet(expectation.target, expectation.address)) return true;
      // A place inside a function: its own part, or its unlikely part.
      const matched = isSupposed ? supposed.match : this.matches.get(expectation.target);
      if (!matched?.equal) return false;
      const offset = matched.offsets ? matched.offsets.get(expectation.offset) : expectation.offset;
      if (offset === undefined) return false;
      const inside = expectation.address - offset;
      return (
        inside === target.live.entry ||
        inside === target.live.current?.address ||
        this.isPartAt(expectation.target, inside)
      );
    });
  }

  /** Does a PLT stub, or an alias the linker folded, at the address carry the function's name? */
  private namesMeet(fn: ObjectFunction, address: number): boolean {
    const names = new Set(fn.aliases.map((alias) => alias.name));
    const isMeant = (name: string): boolean =>
      names.has(name) && isDefinition(this.live, this.definitions, name, address);
    const stub = this.live.stubTarget(address);
    if (stub !== undefined) return isMeant(stub);
    return this.live
      .symbolsAt(address)
      .some(({ name, binding }) => binding !== abi.STB_LOCAL && isMeant(name));
  }

  /** A `.cold` part of a version that runs now has no entry of its own in the status: recognise it by name. */
  private isPartAt(fn: ObjectFunction, address: number): boolean {
    if (!/\.cold(\.\d+)?$/.test(fn.symbol.name)) return false;
    const part = this.live.symbolsAt(address).find(({ name }) => stem(name) === stem(fn.symbol.name));
    return part !== undefined && this.isAt(fn, part.image, part.address, part.size);
  }

  /** A private function is at every address that is referred to as its own and has its code. */
  private isPrivateAt(fn: ObjectFunction, address: number): boolean {
    const key = `${fn.section.index}:${address}`;
    // Under the address sanitizer it refers to itself.
    if (this.comparing.has(key)) return true;
    this.comparing.add(key);
    const isThere = this.isAt(fn, this.live.imageAt(address), address, fn.size);
    this.comparing.delete(key);
    return isThere;
  }

  private isAt(fn: ObjectFunction, image: Image | undefined, address: number, size: number): boolean {
    const match = image && this.code.compare(fn, image, address, size);
    return match?.equal === true && this.holds(match.expectations);
  }
}
