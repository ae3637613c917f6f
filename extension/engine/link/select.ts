// What goes into a patch: the changed functions, and everything they use that the process does not have. First
// part of the link, after the safety checks (save/plan.ts). Walks relocations from the changed functions; gives every
// symbol it meets a place: live, copied into the patch, or imported through the process's loader.
// Allocates no addresses and writes no bytes.
import { isRelative, type Meaning } from '../arch/architecture';
import { guessesPointer } from '../compare/entry_reads';
import type { Reference } from '../compare/object_references';
import type { StartCode } from '../compare/start_code';
import type { UnitComparison } from '../compare/unit';
import { anchorOf, isMergeable, isTableRelative, mergeablePiece } from '../elf/mergeable';
import type { LiveImage } from '../live/live_image';
import { OwnExports } from '../live/own_exports';
import * as abi from '../elf/constants';
import type { ElfSymbol, Relocation, Section } from '../elf/file';
import { isConstant, type Locate, type ObjectFile, type ObjectFunction } from '../elf/object';
import { readUnwind, type Unwind } from '../elf/unwind';
import { HotPatchError } from '../model/errors';
import { dependsOnCaller } from './caller_dependent';
import type { ImportResolver } from './imports';

/** How a function that is in the patch is reached. */
export type Role =
  /** Its original entry is redirected; everyone goes through that entry, also from within the patch. */
  | 'redirected'
  /** Only code of the patch calls it: it is new, a part of another, or its old callers keep the old one. */
  | 'direct'
  /** The runtime calls it, once; callers of the process keep the one they have. */
  | 'at-start';

/** A run of bytes of an object that the patch gets a copy of. */
export interface Chunk {
  object: ObjectFile;
  section: Section;
  start: number;
  end: number;
  alignment: number;
  kind: 'code' | 'constant' | 'data' | 'zero';
  /** Filled in by the layout. */
  address: number;
  fn?: ObjectFunction;
}

/** Where something that a relocation names is. */
export type Target =
  | { kind: 'live'; address: number }
  | { kind: 'chunk'; chunk: Chunk; offset: number }
  | { kind: 'import'; name: string; isFunction: boolean; weak: boolean }
  /** Offset in the module's TLS image. */
  | { kind: 'thread-local'; offset: number }
  | { kind: 'absolute'; value: number };

export interface SelectedUnit {
  comparison: UnitComparison;
  /** Functions to put into the patch, and how they are reached. */
  roles: Map<ObjectFunction, Role>;
  /** What the runtime is to call before the functions are redirected, in this order. */
  start: readonly StartCode[];
}

export class Selection {
  readonly chunks: Chunk[] = [];
  readonly unwinds = new Map<ObjectFile, Unwind>();
  private readonly bySection = new Map<Section, Chunk[]>();
  private readonly references = new Map<Chunk, readonly Reference[]>();
  private readonly pending: Chunk[] = [];
  private own: OwnExports | undefined;
  private readonly globals = new Map<string, { unit: SelectedUnit; symbol: ElfSymbol }>();
  private readonly unitOf = new Map<ObjectFile, SelectedUnit>();

  /**
   * Throws HotPatchError: unresolved-symbol, new-thread-local, unsupported-relocation, unsupported-construct.
   */
  constructor(
    readonly units: readonly SelectedUnit[],
    readonly live: LiveImage,
    private readonly imports: ImportResolver,
    private readonly locate: Locate,
  ) {
    for (const unit of units) {
      this.unitOf.set(unit.comparison.object, unit);
      for (const symbol of unit.comparison.object.symbols) {
        if (symbol.binding === abi.STB_LOCAL || symbol.section === abi.SHN_UNDEF || symbol.name === '')
          continue;
        const known = this.globals.get(symbol.name);
        // gABI: a strong definition prevails over weak ones.
        if (!known || (known.symbol.binding === abi.STB_WEAK && symbol.binding === abi.STB_GLOBAL))
          this.globals.set(symbol.name, { unit, symbol });
      }
    }
    for (const unit of units)
      for (const [fn, role] of [...unit.roles]) if (role !== 'direct') this.keepFunction(unit, fn);
    for (let chunk = this.pending.shift(); chunk; chunk = this.pending.shift()) this.follow(chunk);
  }

  unit(object: ObjectFile): SelectedUnit {
    const unit = this.unitOf.get(object);
    if (!unit) throw new Error(`${object.source} is not part of the patch`);
    return unit;
  }

  /** What the patch has of a section. */
  chunksIn(section: Section): readonly Chunk[] {
    return this.bySection.get(section) ?? [];
  }

  /** The chunk that holds the code of a function; undefined when the patch does not have it. */
  codeOf(fn: ObjectFunction): Chunk | undefined {
    return this.bySection.get(fn.section)?.find((chunk) => chunk.fn === fn);
  }

  /** Everything a chunk refers to, with what a PC-relative field counts from: the end of its instruction in code, the
   * start of its table in data. */
  referencesOf(chunk: Chunk): readonly Reference[] {
    const known = this.references.get(chunk);
    if (known) return known;
    const references = chunk.fn
      ? this.unit(chunk.object).comparison.references.of(chunk.fn)
      : chunk.kind === 'zero'
        ? []
        : chunk.object.relocationsIn(chunk.section, chunk.start, chunk.end).map((relocation) => {
            const meaning = this.live.module.arch.meaning(relocation.type);
            return { ...relocation, meaning, beyond: this.originOf(chunk, relocation, meaning) };
          });
    this.references.set(chunk, references);
    return references;
  }

  private originOf(chunk: Chunk, relocation: Relocation, meaning: Meaning): number {
    if (meaning.via === 'got') return -relocation.addend;
    const symbol = chunk.object.symbol(relocation.symbol);
    if (!isRelative(meaning) || !isTableRelative(chunk.section, symbol)) return 0;
    const table = chunk.object.place(chunk.section, relocation.offset).symbol;
    const start = table?.size
      ? table.value
      : this.unit(chunk.object).comparison.references.startOfAnonymous(chunk.section, relocation.offset);
    return start - relocation.offset;
  }

  /**
   * Where symbol + offset is.
   * @param from what refers to it. The labels of a relative table mean the function's copy in the patch, also at its start.
   */
  target(
    object: ObjectFile,
    symbol: ElfSymbol,
    offset: number,
    from: 'code' | 'data' | 'labels' = 'data',
  ): Target {
    const section = object.sectionOf(symbol);
    if (!section) {
      if (symbol.section === abi.SHN_ABS) return { kind: 'absolute', value: symbol.value + offset };
      return this.undefinedTarget(object, symbol, offset);
    }
    const at = symbol.value + offset;
    if (section.flags & abi.SHF_EXECINSTR) return this.codeTarget(object, section, at, symbol, from);
    if (section.flags & abi.SHF_TLS) return this.threadLocalTarget(object, section, at);
    if (isMergeable(object, section)) {
      const piece = mergeablePiece(section, object.elf.data(section), anchorOf(symbol, at));
      const chunk = this.keepData(object, section, piece?.start ?? 0, piece?.end ?? section.size);
      return { kind: 'chunk', chunk, offset: at - chunk.start };
    }
    const place = object.place(section, at);
    // An inline variable or constant of another unit of this patch is one and the same.
    if (place.symbol && place.symbol.binding !== abi.STB_LOCAL) {
      const definition = this.globals.get(place.symbol.name);
      if (definition && definition.unit.comparison.object !== object) {
        const other = definition.unit.comparison.object;
        const home = other.sectionOf(definition.symbol);
        if (home)
          return this.dataTarget(
            other,
            home,
            definition.symbol,
            definition.symbol.value + (at - place.symbol.value),
          );
      }
    }
    return this.dataTarget(object, section, place.symbol, at);
  }

  private dataTarget(
    object: ObjectFile,
    section: Section,
    symbol: ElfSymbol | undefined,
    at: number,
  ): Target {
    const { comparison } = this.unit(object);
    // Labels without a size (clang's GCC_except_table3) mark a place and are no objects.
    if (symbol && symbol.size > 0) {
      const existing = isConstant(section)
        ? comparison.constant(section, symbol)
        : comparison.variable(symbol);
      if (existing) {
        if (this.bindsElsewhere(symbol)) return this.importTarget(object, symbol.name, false);
        return { kind: 'live', address: existing.address + (at - symbol.value) };
      }
      const chunk = this.keepData(object, section, symbol.value, symbol.value + symbol.size);
      return { kind: 'chunk', chunk, offset: at - chunk.start };
    }
    const chunk = this.keepData(object, section, 0, section.size);
    return { kind: 'chunk', chunk, offset: at };
  }

  private codeTarget(
    object: ObjectFile,
    section: Section,
    at: number,
    symbol: ElfSymbol,
    from: 'code' | 'data' | 'labels',
  ): Target {
    const fn = object.functionAt(section, at);
    if (!fn) {
      // Hand-written code without a size: a label says what it is.
      const label = symbol.name ? symbol : object.place(section, at).symbol;
      const live = label && this.unit(object).comparison.correlation.candidates(label)[0];
      if (live) return { kind: 'live', address: live.address + at - label.value };
      throw this.error(
        'unsupported-construct',
        object,
        symbol.name,
        `${symbol.name || section.name} is code without a size`,
      );
    }
    const unit = this.unit(object);
    const within = at - fn.offset;
    const role = unit.roles.get(fn);
    const compared = unit.comparison.of(fn);
    if (from === 'code' && within !== 0 && within < this.live.module.arch.entryDataSize(object.code(fn))) {
      const entry = this.codeTarget(object, section, fn.offset, symbol, from);
      if (entry.kind === 'live') return { kind: 'live', address: entry.address + within };
      return entry.kind === 'chunk' ? { ...entry, offset: entry.offset + within } : entry;
    }
    if (within !== 0 || from === 'labels') {
      const chunk = this.codeOf(fn) ?? (role || !compared.live ? this.keepFunction(unit, fn) : undefined);
      if (chunk) return { kind: 'chunk', chunk, offset: within };
      // Belongs to a function that stays as it is: nothing in the patch goes there.
      if (from !== 'code') return { kind: 'absolute', value: 0 };
      throw this.error(
        'unsupported-construct',
        object,
        fn.symbol.name,
        `Code that changed goes on in the middle of ${fn.symbol.name}, which did not change`,
      );
    }
    // The address of the symbol is the resolver's; what it chose is known to the process alone.
    if (symbol.type === abi.STT_GNU_IFUNC && compared.live)
      throw this.error(
        'unsupported-construct',
        object,
        symbol.name,
        `Code that changed calls ${symbol.name}, which this file resolves at load time (ifunc)`,
      );
    // A local name of a global function says that this very definition is meant.
    const isOfPatch = unit.comparison.apart.has(fn) || compared.live?.image.patch !== undefined;
    if (symbol.binding !== abi.STB_LOCAL && !isOfPatch && this.bindsElsewhere(fn.symbol))
      return this.importTarget(object, fn.symbol.name, true);
    if (role === 'redirected' && compared.live) return { kind: 'live', address: compared.live.entry };
    if (role === undefined && compared.live) return { kind: 'live', address: compared.live.entry };
    // New in two units of one save (an inline function): one copy serves both.
    if (fn.symbol.binding !== abi.STB_LOCAL) {
      const definition = this.globals.get(fn.symbol.name);
      if (definition && definition.unit.comparison.object !== object) {
        const home = definition.unit.comparison.object.sectionOf(definition.symbol);
        const other = home && definition.unit.comparison.object.functionAt(home, definition.symbol.value);
        if (other) return { kind: 'chunk', chunk: this.keepFunction(definition.unit, other), offset: 0 };
      }
    }
    return { kind: 'chunk', chunk: this.keepFunction(unit, fn), offset: 0 };
  }

  private undefinedTarget(object: ObjectFile, symbol: ElfSymbol, offset: number): Target {
    const definition = this.globals.get(symbol.name);
    if (definition) {
      const other = definition.unit.comparison.object;
      if (other.sectionOf(definition.symbol)) return this.target(other, definition.symbol, offset);
    }
    const live = this.live.global(symbol.name);
    if (live?.type === abi.STT_TLS) return { kind: 'thread-local', offset: live.address + offset };
    if (live && live.type !== abi.STT_GNU_IFUNC && !this.bindsElsewhere(symbol))
      return { kind: 'live', address: live.address + offset };
    // Data that the linker copied into the executable (a copy relocation) lives there.
    const copied = this.live.module.symbols.find(
      (candidate) => candidate.name.startsWith(`${symbol.name}@`) && candidate.type === abi.STT_OBJECT,
    );
    if (copied) return { kind: 'live', address: copied.address + offset };
    if (symbol.section === abi.SHN_COMMON && !live) {
      throw this.error(
        'unsupported-construct',
        object,
        symbol.name,
        `${symbol.name} is a new common variable: compile with -fno-common`,
      );
    }
    return this.importTarget(
      object,
      symbol.name,
      symbol.type === abi.STT_FUNC,
      symbol.binding === abi.STB_WEAK,
    );
  }

  private threadLocalTarget(object: ObjectFile, section: Section, at: number): Target {
    const { symbol } = object.place(section, at);
    const live = symbol && this.unit(object).comparison.variable(symbol);
    if (!symbol || !live) {
      const name = symbol?.name ?? section.name;
      throw this.error(
        'new-thread-local',
        object,
        name,
        `thread_local ${name} does not exist in the running threads`,
      );
    }
    return { kind: 'thread-local', offset: live.address + (at - symbol.value) };
  }

  private importTarget(object: ObjectFile, name: string, isFunction: boolean, weak = false): Target {
    const found = this.imports.find(name);
    if (!found && !weak)
      throw this.error(
        'unresolved-symbol',
        object,
        name,
        `${name} is defined neither in ${this.live.module.path} nor in a library of the process`,
      );
    return { kind: 'import', name, isFunction: found?.isFunction ?? isFunction, weak: !found };
  }

  /** In a shared library, does the loader decide which definition of this global is used? */
  private bindsElsewhere(symbol: ElfSymbol): boolean {
    return (
      symbol.binding !== abi.STB_LOCAL &&
      symbol.visibility === abi.STV_DEFAULT &&
      (this.live.module.bindsDynamically(symbol.name) ||
        (this.imports.hasOther(symbol.name) &&
          (this.own ??= new OwnExports(this.live.module)).isLeftToLoader(symbol.name)))
    );
  }

  private keepFunction(unit: SelectedUnit, fn: ObjectFunction): Chunk {
    const known = this.codeOf(fn);
    if (known) return known;
    if (fn.symbol.type === abi.STT_GNU_IFUNC)
      throw this.error(
        'unsupported-construct',
        fn.object,
        fn.symbol.name,
        `${fn.symbol.name} is resolved at load time (ifunc)`,
      );
    // Its body was left out, and the process has none: it was inlined wherever it was called.
    if (fn.object.isLeftOut(fn))
      throw this.error(
        'unresolved-symbol',
        fn.object,
        fn.symbol.name,
        `${fn.symbol.name} is not in the process`,
      );
    if (!unit.roles.has(fn)) unit.roles.set(fn, 'direct');
    const chunk = this.add({
      object: fn.object,
      section: fn.section,
      start: fn.offset,
      end: fn.offset + fn.size,
      alignment: Math.max(16, fn.offset === 0 ? fn.section.alignment : 16),
      kind: 'code',
      address: 0,
      fn,
    });
    return chunk;
  }

  private keepData(object: ObjectFile, section: Section, start: number, end: number): Chunk {
    const known = this.bySection.get(section)?.find((chunk) => chunk.start <= start && chunk.end >= end);
    if (known) return known;
    const kind = section.type === abi.SHT_NOBITS ? 'zero' : isConstant(section) ? 'constant' : 'data';
    return this.add({
      object,
      section,
      start,
      end,
      alignment: alignmentAt(section, start),
      kind,
      address: 0,
    });
  }

  private add(chunk: Chunk): Chunk {
    this.chunks.push(chunk);
    const list = this.bySection.get(chunk.section);
    if (list) list.push(chunk);
    else this.bySection.set(chunk.section, [chunk]);
    this.pending.push(chunk);
    return chunk;
  }

  /** Finds a place for everything a chunk refers to. */
  private follow(chunk: Chunk): void {
    for (const reference of this.referencesOf(chunk)) {
      const target = this.targetOf(chunk, reference);
      if (chunk.fn) this.checkReference(chunk.fn, reference, target);
    }
    if (chunk.fn) {
      let unwind = this.unwinds.get(chunk.object);
      if (!unwind) this.unwinds.set(chunk.object, (unwind = readUnwind(chunk.object)));
      for (const { symbol, offset } of unwind.references(chunk.fn)) this.target(chunk.object, symbol, offset);
    }
  }

  private checkReference(fn: ObjectFunction, reference: Reference, target: Target): void {
    const why =
      (target.kind === 'import' ? dependsOnCaller(this.live.module.arch, fn, target.name) : undefined) ??
      guessesPointer(this.unit(fn.object).comparison, fn, reference);
    if (why !== undefined) throw this.error('unsupported-construct', fn.object, fn.symbol.name, why);
  }

  /** Where a relocation of a chunk leads. Throws as the constructor does. */
  targetOf(chunk: Chunk, relocation: Reference): Target {
    const symbol = chunk.object.symbol(relocation.symbol);
    const section = chunk.object.sectionOf(symbol);
    const intoCode = section !== undefined && (section.flags & abi.SHF_EXECINSTR) !== 0;
    // The entries of relative jump tables are label − start of the table, written as label + (field − start) − field. An
    // address is a label's where it lies inside a function; at its start it is the function's, however the assembler
    // writes it: nops before the entry (-fpatchable-function-entry) or other functions may lie before it in its section.
    const label =
      chunk.kind !== 'code' &&
      intoCode &&
      isRelative(relocation.meaning) &&
      isTableRelative(chunk.section, symbol);
    const from = chunk.kind === 'code' ? 'code' : label ? 'labels' : 'data';
    return this.target(chunk.object, symbol, relocation.addend + relocation.beyond, from);
  }

  private error(
    code: 'unresolved-symbol' | 'new-thread-local' | 'unsupported-construct',
    object: ObjectFile,
    symbol: string,
    message: string,
  ): HotPatchError {
    return new HotPatchError(code, message, { ...this.locate(object, symbol), symbol });
  }
}

function alignmentAt(section: Section, start: number): number {
  let alignment = Math.max(section.alignment, 1);
  while (alignment > 1 && start % alignment !== 0) alignment /= 2;
  return alignment;
}
