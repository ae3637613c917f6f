// Compares one freshly compiled unit with the code in the process: which functions changed against what runs now,
// which are back at the original, which are new. Third step of a save. The process is the baseline: two functions
// are the same when every instruction is and every relocated field refers to the same live thing.
// Reads both sides; decides nothing about whether a difference may be patched in.
import * as abi from '../elf/constants';
import { readExceptionTable, typeEntry } from '../elf/exception_table';
import type { ElfSymbol, Relocation, Section } from '../elf/file';
import { isConstant, type ObjectFile, type ObjectFunction } from '../elf/object';
import { exceptionTables, readUnwind, type Unwind } from '../elf/unwind';
import { isTableRelative, mergeablePiece } from '../elf/mergeable';
import { BRANCH, decode, type Decoded, distancesToEnd, INVALID, PADDING } from '../arch/x86_64/instructions';
import { Correlation, isNumbered, ownerOf, stem } from './correlate';
import { sameExceptionTables } from './exception_tables';
import type { Bodies, LiveFunction } from '../live/functions';
import type { Image, LiveImage, LiveSymbol } from '../live/live_image';
import { readReference } from './references';

export type FunctionStatus =
  /** What runs now is what was compiled. */
  | 'same'
  /** Runs a patched version, but the fresh code is the original again. */
  | 'original'
  /** Differs from what runs now. */
  | 'changed'
  /** Not in the process. */
  | 'new';

export interface ComparedFunction {
  fn: ObjectFunction;
  status: FunctionStatus;
  live: LiveFunction | undefined;
}

/** What a unit's debug information says is its own in the process. */
export interface OwnedCode {
  /** Entries of its functions; of inline ones also when another unit's copy of the same size is the live one. */
  entries: ReadonlySet<number>;
  /** Built with -ffunction-sections. */
  functionSections: boolean;
  /** Is an inline function written in this unit's source, or in another file that is being saved? */
  isEdited: (fn: ObjectFunction) => boolean;
}

/** Something the fresh code refers to, that can only be judged when all functions have their counterparts. */
type Expectation =
  | { kind: 'function'; target: ObjectFunction; offset: number; address: number }
  | { kind: 'variable'; symbol: ElfSymbol; offset: number; address: number };

interface Match {
  equal: boolean;
  expectations: Expectation[];
  /** Offset in the fresh function → offset in the live one, at instruction starts. Undefined: the same. */
  offsets: Map<number, number> | undefined;
}

/** A function in the process that a fresh one may be, compared with it. */
interface Home {
  live: LiveFunction;
  /** With the body that runs now. */
  current: Match;
  original: Match;
}

const DIFFERENT: Match = { equal: false, expectations: [], offsets: undefined };

/** Names whose address is their identity; what they hold follows from the type, which the layout check compares. */
const IDENTITY = /^(_ZT[VTISC]|_ZGV|_ZGR|DW\.ref\.)/;

export class UnitComparison {
  readonly functions: ComparedFunction[] = [];
  readonly correlation: Correlation;
  private readonly byFunction = new Map<ObjectFunction, ComparedFunction>();
  private readonly matches = new Map<ObjectFunction, Match>();
  private readonly constants = new Map<string, { same: boolean; expectations: Expectation[] }>();
  private readonly foreign = new Set<ObjectFunction>();
  private readonly variables = new Map<ElfSymbol, LiveSymbol | undefined>();
  private readonly votes = new Map<ElfSymbol, Map<number, number>>();
  private readonly anchors = new Map<number, number[]>();
  private unwind: Unwind | undefined;

  /**
   * @param owned entries of functions in the process that came from this unit's object (from its debug information).
   *   An inline function whose live copy came from another unit may legitimately differ here.
   */
  constructor(
    readonly object: ObjectFile,
    readonly live: LiveImage,
    private readonly bodies: Bodies,
    private readonly owned: () => OwnedCode | undefined,
  ) {
    this.correlation = new Correlation(object, live, () => owned()?.entries);
    this.compareAll();
  }

  of(fn: ObjectFunction): ComparedFunction {
    const compared = this.byFunction.get(fn);
    if (!compared) throw new Error(`${fn.symbol.name} was not compared`);
    return compared;
  }

  /** The live variable that a writable data symbol of the object is; undefined: it is new. */
  variable(symbol: ElfSymbol): LiveSymbol | undefined {
    if (this.variables.has(symbol)) return this.variables.get(symbol);
    const found = this.findVariable(symbol);
    this.variables.set(symbol, found);
    return found;
  }

  /** Is a named constant of the object in the process already, with the same content? */
  constant(section: Section, symbol: ElfSymbol): LiveSymbol | undefined {
    const candidates = this.correlation.candidates(symbol);
    if (IDENTITY.test(symbol.name)) return candidates[0];
    return candidates.find((candidate) => {
      const expectations: Expectation[] = [];
      return (
        this.sameConstant(section, symbol, candidate.address, expectations) &&
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

  /** Does the module's file give a variable the same initial value as the fresh object? */
  sameInitialValue(section: Section, symbol: ElfSymbol, live: LiveSymbol): boolean {
    if (section.type === abi.SHT_NOBITS && live.image.sectionAt(live.address)?.type === abi.SHT_NOBITS)
      return true;
    const expectations: Expectation[] = [];
    return this.sameConstant(section, symbol, live.address, expectations) && this.holds(expectations);
  }

  // --- functions ---------------------------------------------------------------------------------------------

  private compareAll(): void {
    const pending: { fn: ObjectFunction; tried: Home[] }[] = [];
    for (const fn of this.object.functions) {
      const homes = this.homesOf(fn);
      const tried = homes.map((live) => {
        const original = this.compareCode(fn, live.image, live.entry, live.size);
        const image = live.current && this.live.imageAt(live.current.address);
        const current =
          live.current && image
            ? this.compareCode(fn, image, live.current.address, live.current.size)
            : original;
        return { live, current, original };
      });
      pending.push({ fn, tried });
    }
    // Functions whose code agrees choose first, so that numbered twins do not take each other's place.
    const taken = new Set<number>();
    const chosen = new Map<ObjectFunction, Home>();
    for (const wanted of ['current', 'original', 'any'] as const) {
      for (const { fn, tried } of pending) {
        if (chosen.has(fn)) continue;
        const pick = tried.find(
          (option) =>
            !(taken.has(option.live.entry) && isNumbered(fn.symbol.name)) &&
            (wanted === 'any' || option[wanted].equal),
        );
        if (!pick) continue;
        chosen.set(fn, pick);
        taken.add(pick.live.entry);
      }
    }
    for (const { fn } of pending) {
      const pick = chosen.get(fn);
      this.byFunction.set(fn, { fn, status: pick ? 'changed' : 'new', live: pick?.live });
      if (pick) this.matches.set(fn, pick.current.equal ? pick.current : pick.original);
    }
    this.countVotes([...chosen.values()].flatMap((pick) => [pick.current, pick.original]));
    // Code may agree with several homes (a coroutine's parts in the module and in patches): the right one is that which
    // refers to the homes that the others chose.
    for (const { fn, tried } of pending) {
      const pick = chosen.get(fn);
      const fits = ({ current, original }: Home): boolean =>
        [current, original].some((match) => match.equal && this.holds(match.expectations));
      if (!pick || tried.length < 2 || fits(pick)) continue;
      const better = tried.find((option) => !taken.has(option.live.entry) && fits(option));
      if (!better) continue;
      chosen.set(fn, better);
      this.of(fn).live = better.live;
      this.matches.set(fn, better.current.equal ? better.current : better.original);
    }
    for (const { fn } of pending) {
      const compared = this.of(fn);
      const pick = chosen.get(fn);
      if (pick) compared.status = this.judge(fn, pick);
      this.functions.push(compared);
    }
    this.childrenDecideForParents();
  }

  private judge(fn: ObjectFunction, pick: Home): FunctionStatus {
    if (pick.current.equal && this.holds(pick.current.expectations)) return 'same';
    if (pick.live.current && pick.original.equal && this.holds(pick.original.expectations)) return 'original';
    // The live copy of an inline function may be another unit's, compiled in another context. That unit decides.
    const inline = fn.symbol.binding !== abi.STB_GLOBAL && this.object.inGroup(fn.section);
    if (inline && pick.live.image === this.live.module && !this.owns(fn, pick.live.entry)) {
      this.foreign.add(fn);
      return 'same';
    }
    return 'changed';
  }

  /**
   * Did this unit bring the live copy of an inline function? Debug information claims it for every unit whose own copy
   * had the same size (GNU ld lets them all refer to the one that was kept). But the code of one object lies together,
   * its inline functions behind the others (or among them with -ffunction-sections): from the copy to a function that
   * no other unit can have brought there must be nothing that this unit does not claim. A function that is written in
   * the file being saved is taken as it is there, whoever brought it: all copies are to be the same.
   */
  private owns(fn: ObjectFunction, entry: number): boolean {
    const owned = this.owned();
    if (!owned || owned.isEdited(fn)) return true;
    if (!owned.entries.has(entry)) return false;
    return ([-1, 1] as const).some((step) => {
      if (step === 1 && !owned.functionSections) return false;
      for (const { address } of this.live.module.functionsFrom(entry, step)) {
        if (!owned.entries.has(address)) return false;
        if (this.strongEntries().has(address)) return true;
      }
      return false;
    });
  }

  private strong: Set<number> | undefined;
  /** Live entries of the unit's functions that are not inline. */
  private strongEntries(): ReadonlySet<number> {
    return (this.strong ??= new Set(
      [...this.byFunction.values()].flatMap(({ fn, live }) =>
        live && fn.symbol.binding !== abi.STB_WEAK && !this.object.inGroup(fn.section) ? [live.entry] : [],
      ),
    ));
  }

  /** `foo.cold` belongs to `foo`, and so do the parts of a coroutine: they are compiled, compared and replaced as one. */
  private childrenDecideForParents(): void {
    const children = this.functions.flatMap((compared) => {
      const parent = this.parentOf(compared.fn);
      return parent ? [{ compared, parent: this.of(parent) }] : [];
    });
    const differs = ({ status }: ComparedFunction): boolean => status === 'changed' || status === 'new';
    for (const { compared, parent } of children) {
      if (this.foreign.has(parent.fn)) compared.status = 'same';
      else if (differs(compared) && !differs(parent)) parent.status = 'changed';
    }
    for (const { compared, parent } of children)
      if (!this.foreign.has(parent.fn) && differs(parent) && !differs(compared)) compared.status = 'changed';
  }

  /** The function whose part this is. Nobody else knows its address but, of a coroutine's parts, the coroutines that
   * are suspended: they were laid out for the old code, and end in it. */
  parentOf(fn: ObjectFunction): ObjectFunction | undefined {
    const owner = ownerOf(fn.symbol.name);
    if (owner === undefined) return undefined;
    return this.object.functions.find((other) => other.aliases.some((alias) => alias.name === owner));
  }

  private homesOf(fn: ObjectFunction): LiveFunction[] {
    const homes = new Map<number, LiveFunction>();
    const redirected = new Set([...this.bodies.values()].map(({ current }) => current?.address));
    for (const alias of [fn.symbol, ...fn.aliases.filter((other) => other !== fn.symbol)])
      for (const candidate of this.correlation.candidates(alias)) {
        // A body that some entry jumps to is a version, not a place that callers know.
        if (redirected.has(candidate.address) || this.isVersion(candidate)) continue;
        if (homes.has(candidate.address) || candidate.size === 0) continue;
        homes.set(candidate.address, {
          entry: candidate.address,
          size: candidate.size,
          image: candidate.image,
          name: candidate.name,
          current: this.bodies.get(candidate.address)?.current,
          versions: this.bodies.get(candidate.address)?.versions ?? [],
        });
      }
    return [...homes.values()];
  }

  /** Is a function of a patch a version of an older one (its patch redirected an entry to it)? */
  private isVersion(candidate: LiveSymbol): boolean {
    return candidate.image.patch !== undefined && this.versionAddresses().has(candidate.address);
  }

  private versions: Set<number> | undefined;
  private versionAddresses(): Set<number> {
    return (this.versions ??= new Set(
      this.live.patches.flatMap((patch) => patch.fixes.map(({ body }) => body)),
    ));
  }

  private holds(expectations: readonly Expectation[]): boolean {
    return expectations.every((expectation) => {
      if (expectation.kind === 'variable') {
        const live = this.variable(expectation.symbol);
        return live !== undefined && live.address + expectation.offset === expectation.address;
      }
      const target = this.of(expectation.target);
      if (!target.live) return false;
      if (expectation.offset === 0 && expectation.address === target.live.entry) return true;
      if (expectation.offset === 0 && this.namesMeet(expectation.target, expectation.address)) return true;
      // A place inside a function: its own part, or its unlikely part.
      const matched = this.matches.get(expectation.target);
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
    const stub = this.live.stubTarget(address);
    if (stub !== undefined) return names.has(stub);
    return this.live
      .symbolsAt(address)
      .some((symbol) => names.has(symbol.name) && symbol.binding !== abi.STB_LOCAL);
  }

  /** A `.cold` part of a version that runs now has no entry of its own in the status: recognise it by name. */
  private isPartAt(fn: ObjectFunction, address: number): boolean {
    if (!/\.cold(\.\d+)?$/.test(fn.symbol.name)) return false;
    const wanted = stem(fn.symbol.name);
    const part = this.live.symbolsAt(address).find((symbol) => stem(symbol.name) === wanted);
    return part !== undefined && this.compareCode(fn, part.image, part.address, part.size).equal;
  }

  // --- code --------------------------------------------------------------------------------------------------

  private compareCode(fn: ObjectFunction, image: Image, address: number, size: number): Match {
    const live = image.bytes(address, size);
    if (!live) return DIFFERENT;
    const match = this.compareText(fn, live, address);
    return match.equal && this.sameHandlers(fn, image, address, size, match) ? match : DIFFERENT;
  }

  private compareText(fn: ObjectFunction, live: Buffer, address: number): Match {
    const fresh = this.object.code(fn);
    const relocations = this.object.relocationsIn(fn.section, fn.offset, fn.offset + fn.size);
    const distances = this.distances(fn, fresh, relocations);
    if (fresh.length === live.length) {
      const expectations: Expectation[] = [];
      const verdict = this.compareBytes(fn, fresh, live, address, relocations, distances, expectations);
      if (verdict === 'equal') return { equal: true, expectations, offsets: undefined };
      if (verdict === 'reference') return DIFFERENT;
    }
    return this.compareInstructions(fn, fresh, live, address, relocations, distances);
  }

  /** Are exceptions handled alike? Adds to the expectations of the match. */
  private sameHandlers(
    fn: ObjectFunction,
    image: Image,
    address: number,
    size: number,
    { offsets, expectations }: Match,
  ): boolean {
    const tables = exceptionTables(image.elf);
    if (!tables) return true;
    const fresh = (this.unwind ??= readUnwind(this.object)).exceptionTable(fn);
    const place = tables.get(address - image.bias);
    if (!fresh || place === undefined) return !fresh === (place === undefined);
    const home = image.sectionAt(place + image.bias);
    const one = readExceptionTable(this.object.elf.data(fresh.section), fresh.offset);
    const two = home && readExceptionTable(image.elf.data(home), place - home.address);
    // Not written by a compiler that is known: nothing can be said.
    if (!home || !one || !two) return true;
    if (one.typeEncoding !== two.typeEncoding) return false;
    return sameExceptionTables({
      fresh: one,
      live: two,
      position: (offset) => (!offsets ? offset : offset === fn.size ? size : offsets.get(offset)),
      sameType: (type, other) => {
        const entry = typeEntry(one, type);
        const there = typeEntry(two, other);
        const at = image.bias + home.address + there.at;
        const bytes = two.bytes.subarray(there.at, there.at + there.size);
        const relocation = this.object.relocationsIn(fresh.section, entry.at, entry.at + entry.size)[0];
        // `catch (...)`
        if (!relocation) return bytes.every((byte) => byte === 0);
        return this.samePointer(fresh.section, relocation, image, bytes, entry.at, at, false, expectations);
      },
    });
  }

  private distances(fn: ObjectFunction, fresh: Buffer, relocations: readonly Relocation[]): Uint8Array {
    // Only references to sections need it: a symbol says itself what is meant.
    const needed = relocations.some(
      (relocation) =>
        relocation.type === abi.R_X86_64_PC32 &&
        this.object.symbol(relocation.symbol).type === abi.STT_SECTION,
    );
    if (!needed) return new Uint8Array(relocations.length).fill(4);
    return distancesToEnd(
      fresh,
      relocations.map((relocation) => relocation.offset - fn.offset),
    );
  }

  /** The quick way: same length, byte by byte with the relocated fields left out. */
  private compareBytes(
    fn: ObjectFunction,
    fresh: Buffer,
    live: Buffer,
    address: number,
    relocations: readonly Relocation[],
    distances: Uint8Array,
    expectations: Expectation[],
  ): 'equal' | 'bytes' | 'reference' {
    let at = 0;
    for (let i = 0; i < relocations.length; i++) {
      const relocation = relocations[i]!;
      const field = relocation.offset - fn.offset;
      const reference = readReference(relocation, fresh, field, live, field, address);
      if (!reference) return 'bytes';
      if (reference.start > at && fresh.compare(live, at, reference.start, at, reference.start) !== 0)
        return 'bytes';
      if (!this.sameReference(relocation, reference, distances[i]!, expectations)) return 'reference';
      at = Math.max(at, reference.end);
      i += reference.covers;
    }
    return fresh.compare(live, at, live.length, at, fresh.length) === 0 ? 'equal' : 'bytes';
  }

  /** The thorough way: instruction by instruction, padding left out, so that the assembler's choice between short
   * and near jumps (which depends on what shares the section) makes no difference. */
  private compareInstructions(
    fn: ObjectFunction,
    fresh: Buffer,
    live: Buffer,
    address: number,
    relocations: readonly Relocation[],
    distances: Uint8Array,
  ): Match {
    const a = decode(fresh);
    const b = decode(live);
    const expectations: Expectation[] = [];
    const offsets = new Map<number, number>();
    const branches: { fresh: number; live: number }[] = [];
    let i = 0;
    let j = 0;
    let next = 0;
    for (;;) {
      i = skipPadding(a, i, offsets, j < b.count ? b.offsets[j]! : live.length);
      j = skipPadding(b, j);
      if (i >= a.count || j >= b.count) break;
      if (a.kinds[i]! & INVALID || b.kinds[j]! & INVALID) return DIFFERENT;
      const start = a.offsets[i]!;
      const end = start + a.lengths[i]!;
      const liveStart = b.offsets[j]!;
      const liveEnd = liveStart + b.lengths[j]!;
      offsets.set(start, liveStart);
      while (next < relocations.length && relocations[next]!.offset - fn.offset < start) next++;
      const relocation = relocations[next];
      const field = relocation ? relocation.offset - fn.offset : -1;
      if (relocation && field < end) {
        if (
          a.kinds[i]! & BRANCH &&
          b.kinds[j]! & BRANCH &&
          a.codes[i] === b.codes[j] &&
          isBranchField(relocation, field, end)
        ) {
          // A direct branch to a symbol: the live one may be short when both were in one section.
          const target = address + b.targets[j]!;
          const reference = { start: 0, end: 0, covers: 0, kind: 'address', value: target - 4 } as const;
          if (!this.sameReference(relocation, reference, 4, expectations)) return DIFFERENT;
          next++;
          i++;
          j++;
          continue;
        }
        // Relocated fields sit equally far from the end of their instruction.
        const liveField = liveEnd - (end - field);
        const reference = readReference(relocation, fresh, field, live, liveField, address);
        if (!reference || !this.sameReference(relocation, reference, distances[next]!, expectations))
          return DIFFERENT;
        const second = relocations[next + 1];
        if (reference.covers === 0 && second && second.offset - fn.offset < end) {
          // Two fields in one instruction (`movl $symbol, variable(%rip)`).
          const secondAt = second.offset - fn.offset;
          const other = readReference(second, fresh, secondAt, live, liveEnd - (end - secondAt), address);
          if (!other || !this.sameReference(second, other, distances[next + 1]!, expectations))
            return DIFFERENT;
          next++;
        } else if (
          reference.covers === 0 &&
          (reference.kind !== 'target' || liveEnd - liveStart === end - start)
        ) {
          const before = Math.max(reference.start, liveStart) - liveStart;
          if (fresh.compare(live, liveStart, liveStart + before, start, start + before) !== 0)
            return DIFFERENT;
          const behind = Math.min(reference.end, liveEnd);
          if (fresh.compare(live, behind, liveEnd, start + (behind - liveStart), end) !== 0) return DIFFERENT;
        }
        next++;
        i++;
        j++;
        // Rewritten TLS sequences and `jmp foo; nop` span several instructions on both sides.
        if (reference.covers) {
          const liveStop = reference.end;
          const freshStop = liveStop - liveField + field;
          while (i < a.count && a.offsets[i]! < freshStop) i++;
          while (j < b.count && b.offsets[j]! < liveStop) j++;
          next += reference.covers;
        }
        continue;
      }
      if (a.kinds[i]! & BRANCH && b.kinds[j]! & BRANCH) {
        if (a.codes[i] !== b.codes[j]) return DIFFERENT;
        branches.push({ fresh: a.targets[i]!, live: b.targets[j]! });
      } else if (
        end - start !== liveEnd - liveStart ||
        fresh.compare(live, liveStart, liveEnd, start, end) !== 0
      )
        return DIFFERENT;
      i++;
      j++;
    }
    if (i < a.count || j < b.count) return DIFFERENT;
    offsets.set(fresh.length, live.length);
    for (const branch of branches) if (offsets.get(branch.fresh) !== branch.live) return DIFFERENT;
    return { equal: true, expectations, offsets };
  }

  // --- references --------------------------------------------------------------------------------------------

  private sameReference(
    relocation: Relocation,
    reference: NonNullable<ReturnType<typeof readReference>>,
    distance: number,
    expectations: Expectation[],
  ): boolean {
    const symbol = this.object.symbol(relocation.symbol);
    switch (reference.kind) {
      case 'nothing':
        return true;
      case 'thread-offset':
        return this.sameThreadLocal(symbol, relocation.addend, reference.value, true, expectations);
      case 'module-offset':
        // In an executable the linker turned it into an offset from the thread pointer.
        return (
          this.sameThreadLocal(symbol, relocation.addend, reference.value, true, expectations) ||
          this.sameThreadLocal(symbol, relocation.addend, reference.value, false, expectations)
        );
      case 'slot':
        return this.sameSlot(symbol, relocation, reference.slot, expectations);
      case 'target':
        return this.sameTarget(symbol, 0, reference.value, expectations);
      case 'address': {
        const relative = relocation.type === abi.R_X86_64_PC32 || relocation.type === abi.R_X86_64_PLT32;
        const beyond = relative ? distance : 0;
        return this.sameTarget(symbol, relocation.addend + beyond, reference.value + beyond, expectations);
      }
    }
  }

  /** Does symbol + offset of the object lie at that address of the process? */
  private sameTarget(
    symbol: ElfSymbol,
    offset: number,
    address: number,
    expectations: Expectation[],
  ): boolean {
    const section = this.object.sectionOf(symbol);
    if (!section) {
      if (symbol.section === abi.SHN_ABS) return symbol.value + offset === address;
      return this.sameName(symbol, offset, address);
    }
    const at = symbol.value + offset;
    if (section.flags & abi.SHF_EXECINSTR) {
      const target = this.object.functionAt(section, at);
      if (!target) return this.live.symbolsAt(address).some((live) => live.name === symbol.name);
      expectations.push({ kind: 'function', target, offset: at - target.offset, address });
      return true;
    }
    if (section.flags & abi.SHF_TLS)
      return this.sameThreadLocal(symbol, offset, address, false, expectations);
    if (isConstant(section)) return this.sameConstantAt(section, at, address, expectations);
    const place = this.object.place(section, at);
    // The image of an automatic array's initialiser has no name; gcc puts it into .data when it holds addresses.
    if (!place.symbol) return this.sameConstantAt(section, at, address, expectations);
    expectations.push({ kind: 'variable', symbol: place.symbol, offset: at - place.symbol.value, address });
    return true;
  }

  /** An undefined (or common) symbol: the same name in the process, as a definition or behind a PLT stub. */
  private sameName(symbol: ElfSymbol, offset: number, address: number): boolean {
    const global = this.live.global(symbol.name);
    if (global && global.address + offset === address) return true;
    if (offset === 0 && this.live.stubTarget(address) === symbol.name) return true;
    if (this.live.symbolsAt(address - offset).some((live) => live.name === symbol.name)) return true;
    // Names that the linker defines or versions (`stdout@GLIBC_2.2.5`) and undefined weak ones, which are 0.
    if (this.live.symbolsAt(address - offset).some((live) => live.name.startsWith(`${symbol.name}@`)))
      return true;
    return symbol.binding === abi.STB_WEAK && !global && address - offset === 0;
  }

  private sameSlot(
    symbol: ElfSymbol,
    relocation: Relocation,
    slot: number,
    expectations: Expectation[],
  ): boolean {
    const image = this.live.imageAt(slot);
    if (!image) return false;
    const held = image.dynamicAt(slot);
    if (relocation.type === abi.R_X86_64_GOTTPOFF || relocation.type === abi.R_X86_64_TLSGD) {
      if (held?.name) return held.name === symbol.name;
      // The slot of a local symbol: its offset is the addend (TPOFF64), or lies in the next word (DTPMOD64).
      if (held?.type === abi.R_X86_64_TPOFF64)
        return this.sameThreadLocal(symbol, 0, held.addend, false, expectations);
      const word = image.bytes(slot + (relocation.type === abi.R_X86_64_TLSGD ? 8 : 0), 8);
      if (!word) return false;
      const value = word.readUInt32LE(0) + word.readInt32LE(4) * 0x1_0000_0000;
      return this.sameThreadLocal(symbol, 0, value, relocation.type === abi.R_X86_64_GOTTPOFF, expectations);
    }
    const pointer = image.pointerAt(slot);
    if (!pointer) return false;
    if ('name' in pointer) return pointer.name === symbol.name;
    return this.sameTarget(symbol, 0, pointer.address, expectations);
  }

  /** @param fromThreadPointer the value counts from the thread pointer, else from the module's TLS image */
  private sameThreadLocal(
    symbol: ElfSymbol,
    offset: number,
    value: number,
    fromThreadPointer: boolean,
    expectations: Expectation[],
  ): boolean {
    const tls = this.live.module.tls;
    if (!tls) return false;
    const base = fromThreadPointer ? Math.ceil(tls.size / tls.alignment) * tls.alignment : 0;
    const section = this.object.sectionOf(symbol);
    const wanted = value + base;
    if (!section) {
      const live = this.live.module.global(symbol.name);
      return live?.type === abi.STT_TLS && live.address + offset === wanted;
    }
    const place = this.object.place(section, symbol.value + offset);
    if (!place.symbol) return false;
    const delta = place.offset - place.symbol.value;
    const live = this.variable(place.symbol);
    if (live && live.address + delta === wanted) return true;
    if (!isNumbered(place.symbol.name)) return false;
    expectations.push({ kind: 'variable', symbol: place.symbol, offset: delta, address: wanted });
    return true;
  }

  // --- constants ---------------------------------------------------------------------------------------------

  private sameConstantAt(
    section: Section,
    offset: number,
    address: number,
    expectations: Expectation[],
  ): boolean {
    const data = this.object.elf.data(section);
    if (section.flags & abi.SHF_MERGE && this.object.relocations(section).length === 0) {
      const piece = mergeablePiece(section, data, offset);
      if (!piece) return false;
      const live = this.live.bytes(address - (offset - piece.start), piece.end - piece.start);
      return live !== undefined && data.compare(live, 0, live.length, piece.start, piece.end) === 0;
    }
    const { symbol } = this.object.place(section, offset);
    if (symbol && symbol.size > 0) {
      const start = address - (offset - symbol.value);
      if (symbol.binding !== abi.STB_LOCAL) {
        const same = this.live.global(symbol.name);
        if (same && same.address !== start) return false;
        if (same && IDENTITY.test(symbol.name)) return true;
      }
      return this.sameConstant(section, symbol, start, expectations);
    }
    const end = this.endOfAnonymous(section, offset);
    return this.sameContent(section, offset, end, address, true, expectations);
  }

  private sameConstant(
    section: Section,
    symbol: ElfSymbol,
    address: number,
    expectations: Expectation[],
  ): boolean {
    const key = `${symbol.index}@${address}`;
    let known = this.constants.get(key);
    if (!known) {
      // Constants may refer to each other in a circle: while one is being compared it counts as the same.
      known = { same: true, expectations: [] };
      this.constants.set(key, known);
      known.same =
        section.type === abi.SHT_NOBITS
          ? (this.live.bytes(address, symbol.size)?.every((byte) => byte === 0) ?? false)
          : this.sameContent(
              section,
              symbol.value,
              symbol.value + symbol.size,
              address,
              false,
              known.expectations,
            );
    }
    if (known.same) expectations.push(...known.expectations);
    return known.same;
  }

  private sameContent(
    section: Section,
    start: number,
    end: number,
    address: number,
    anonymous: boolean,
    expectations: Expectation[],
  ): boolean {
    const fresh = this.object.elf.data(section);
    const image = this.live.imageAt(address);
    const live = image?.bytes(address, end - start);
    if (!image || !live) return false;
    let at = start;
    for (const relocation of this.object.relocationsIn(section, start, end)) {
      const width = relocation.type === abi.R_X86_64_64 || relocation.type === abi.R_X86_64_PC64 ? 8 : 4;
      if (fresh.compare(live, at - start, relocation.offset - start, at, relocation.offset) !== 0)
        return false;
      if (!this.samePointer(section, relocation, image, live, start, address, anonymous, expectations))
        return false;
      at = relocation.offset + width;
    }
    if (at >= end) return true;
    // What follows the last table in a section is padding on one side and perhaps another object on the other.
    const stop = anonymous ? lastNonZero(fresh, at, end) : end;
    return fresh.compare(live, at - start, stop - start, at, stop) === 0;
  }

  private samePointer(
    section: Section,
    relocation: Relocation,
    image: Image,
    live: Buffer,
    start: number,
    address: number,
    anonymous: boolean,
    expectations: Expectation[],
  ): boolean {
    const symbol = this.object.symbol(relocation.symbol);
    const within = relocation.offset - start;
    switch (relocation.type) {
      case abi.R_X86_64_64: {
        const pointer = image.pointerAt(address + within);
        if (!pointer) return false;
        return 'name' in pointer
          ? pointer.name === symbol.name && pointer.addend === relocation.addend
          : this.sameTarget(symbol, relocation.addend, pointer.address, expectations);
      }
      case abi.R_X86_64_PC32: {
        const value = live.readInt32LE(within);
        const target = this.object.sectionOf(symbol);
        // A jump table of position-independent code: each entry counts from the table's start.
        if ((anonymous && target && target.flags & abi.SHF_EXECINSTR) || isTableRelative(section, symbol))
          return this.sameTarget(symbol, relocation.addend - within, address + value, expectations);
        return this.sameTarget(symbol, relocation.addend, address + within + value, expectations);
      }
      case abi.R_X86_64_32:
      case abi.R_X86_64_32S:
        return this.sameTarget(symbol, relocation.addend, live.readUInt32LE(within), expectations);
      default:
        return false;
    }
  }

  /** An anonymous constant reaches to the next place that anything refers to, or to the section's end. */
  private endOfAnonymous(section: Section, offset: number): number {
    let anchors = this.anchors.get(section.index);
    if (!anchors) {
      const found = new Set<number>();
      for (const other of this.object.elf.sections) {
        if (!(other.flags & abi.SHF_ALLOC)) continue;
        for (const relocation of this.object.relocations(other)) {
          const symbol = this.object.symbol(relocation.symbol);
          if (symbol.section !== section.index) continue;
          const relative = relocation.type === abi.R_X86_64_PC32 && other.flags & abi.SHF_EXECINSTR;
          found.add(symbol.value + relocation.addend + (relative ? 4 : 0));
        }
      }
      anchors = [...found].sort((a, b) => a - b);
      this.anchors.set(section.index, anchors);
    }
    return anchors.find((anchor) => anchor > offset) ?? section.size;
  }

  // --- variables ---------------------------------------------------------------------------------------------

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

  /** Unchanged functions tell which numbered static is which. */
  private countVotes(matches: Match[]): void {
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
}

function skipPadding(decoded: Decoded, from: number, offsets?: Map<number, number>, live?: number): number {
  let i = from;
  while (i < decoded.count && decoded.kinds[i]! & PADDING) {
    // A loop head may be aligned: branches to the padding in front of it mean what follows it.
    if (offsets && live !== undefined && !offsets.has(decoded.offsets[i]!))
      offsets.set(decoded.offsets[i]!, live);
    i++;
  }
  return i;
}

function isBranchField(relocation: Relocation, field: number, end: number): boolean {
  return (
    (relocation.type === abi.R_X86_64_PC32 || relocation.type === abi.R_X86_64_PLT32) && field === end - 4
  );
}

function lastNonZero(bytes: Buffer, start: number, end: number): number {
  let stop = end;
  while (stop > start && bytes[stop - 1] === 0) stop--;
  return stop;
}
