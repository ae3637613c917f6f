// A freshly compiled relocatable object, seen as functions, data and the relocations between them.
// Made from the compiler's output (save/compile.ts), read by the comparison and by the linker.
// Must not know anything about the running process.
import { HotPatchError } from '../model/errors';
import { lowerBound } from '../shared/search';
import * as abi from './constants';
import type { ElfFile } from './file';
import { MACHINES } from './machines';
import { type ElfSymbol, type Relocation, type Section } from './file';

/** One function of the object: a range of an executable section, with every symbol that begins there. */
export interface ObjectFunction {
  object: ObjectFile;
  /** The symbol it is known by: a global one where there is one. */
  symbol: ElfSymbol;
  /** All symbols at this place (constructor variants, aliases), `symbol` among them. */
  aliases: ElfSymbol[];
  section: Section;
  offset: number;
  size: number;
}

/** A place in the object: a section and an offset, with the symbol that covers it where there is one. */
export interface Place {
  section: Section;
  offset: number;
  symbol: ElfSymbol | undefined;
}

/** What the bodies of functions call that were left out of a unit (fast/reduce.ts): no program has such a name. */
export const LEFT_OUT = 'hot_patch_left_out_';

/** Names a place in the source for a message; debug information knows it, the object file alone does not. */
export type Locate = (object: ObjectFile, symbol: string) => { file: string; line?: number };

export class ObjectFile {
  /** Those of the file, and behind them what code sections have no symbol for: their private function, their beginning. */
  readonly symbols: readonly ElfSymbol[];
  /** Name of the unit in the FILE symbols of patches: its source, told apart from its twins. */
  readonly identity: string;
  /** Name of the FILE symbol, e.g. `app.cc`; empty when the compiler wrote none. */
  readonly fileName: string;
  readonly functions: readonly ObjectFunction[];
  private readonly relocationsBySection = new Map<number, Relocation[]>();
  private readonly relocationSections = new Map<number, Section>();
  private readonly symbolsBySection = new Map<number, ElfSymbol[]>();
  private readonly functionsBySection = new Map<number, ObjectFunction[]>();
  private readonly definitions = new Map<string, ElfSymbol>();
  private readonly grouped = new Set<number>();
  private readonly sectionSymbols = new Map<number, ElfSymbol>();
  private readonly leftOut = new Set<ObjectFunction>();
  private readonly privateSymbols = new Set<ElfSymbol>();

  /**
   * @param elf the object
   * @param source absolute path of the translation unit's source
   * @param twin of a source that was compiled several times into a module: which of those units this one is
   * Throws `unsupported-object` when it is not a relocatable object for a known machine (LTO bitcode, another one).
   */
  constructor(
    readonly elf: ElfFile,
    readonly source: string,
    readonly twin = 0,
  ) {
    this.identity = twin === 0 ? source : `${source}#${twin}`;
    if (elf.type !== abi.ET_REL)
      throw new HotPatchError(
        'unsupported-object',
        `The compiler did not write a relocatable object for ${source}`,
        {
          file: source,
        },
      );
    if (!MACHINES.has(elf.machine))
      throw new HotPatchError(
        'unsupported-object',
        `${source} was compiled for another machine than ${[...MACHINES.values()].join(' or ')}`,
        {
          file: source,
        },
      );
    if (elf.sections.some((section) => section.name.startsWith('.gnu.lto_')) && !elf.section('.text'))
      throw new HotPatchError('unsupported-object', `${source} was compiled to LTO intermediate code only`, {
        file: source,
      });
    const symbols = [...elf.symbols()];
    this.symbols = symbols;
    this.fileName = this.symbols.find((symbol) => symbol.type === abi.STT_FILE)?.name ?? '';
    for (const section of elf.sections) {
      if (section.type === abi.SHT_RELA) this.relocationSections.set(section.info, section);
      if (section.flags & abi.SHF_GROUP) this.grouped.add(section.index);
    }
    for (const symbol of symbols)
      if (symbol.type === abi.STT_SECTION) this.sectionSymbols.set(symbol.section, symbol);
    for (const symbol of this.symbols) {
      if (!isDefined(symbol)) continue;
      if (symbol.section === abi.SHN_COMMON) {
        this.definitions.set(symbol.name, symbol);
        continue;
      }
      if (
        symbol.section >= elf.sections.length ||
        symbol.type === abi.STT_FILE ||
        symbol.type === abi.STT_SECTION
      )
        continue;
      // The assembler keeps the compiler's own labels (`.LC0`) for mergeable sections; they are no variables.
      if (symbol.name.startsWith('.L')) continue;
      const list = this.symbolsBySection.get(symbol.section);
      if (list) list.push(symbol);
      else this.symbolsBySection.set(symbol.section, [symbol]);
      if (symbol.binding !== abi.STB_LOCAL) this.definitions.set(symbol.name, symbol);
    }
    for (const section of elf.sections) {
      const symbol = this.symbolsBySection.has(section.index)
        ? undefined
        : privateFunction(section, symbols.length);
      if (!symbol) continue;
      symbols.push(symbol);
      this.privateSymbols.add(symbol);
      this.symbolsBySection.set(section.index, [symbol]);
    }
    for (const list of this.symbolsBySection.values())
      list.sort((a, b) => a.value - b.value || a.size - b.size);
    this.functions = this.collectFunctions();
    const marker = symbols.findIndex(({ name }) => name === LEFT_OUT);
    if (marker >= 0)
      for (const fn of this.functions)
        if (
          this.relocationsIn(fn.section, fn.offset, fn.offset + fn.size).some(
            ({ symbol }) => symbol === marker,
          )
        )
          this.leftOut.add(fn);
    for (const { section } of this.functions) {
      if (this.sectionSymbols.has(section.index)) continue;
      const symbol = newSectionSymbol(section, symbols.length);
      symbols.push(symbol);
      this.sectionSymbols.set(section.index, symbol);
    }
  }

  /** Relocations of a section's contents, by ascending offset. */
  relocations(section: Section): readonly Relocation[] {
    const known = this.relocationsBySection.get(section.index);
    if (known) return known;
    const table = this.relocationSections.get(section.index);
    const relocations = table ? this.elf.relocations(table).sort((a, b) => a.offset - b.offset) : [];
    this.relocationsBySection.set(section.index, relocations);
    return relocations;
  }

  /** Relocations with start <= offset < end. */
  relocationsIn(section: Section, start: number, end: number): readonly Relocation[] {
    const all = this.relocations(section);
    const first = lowerBound(all.length, (i) => all[i]!.offset < start);
    const last = lowerBound(all.length, (i) => all[i]!.offset < end);
    return first === 0 && last === all.length ? all : all.slice(first, last);
  }

  symbol(index: number): ElfSymbol {
    const symbol = this.symbols[index];
    if (!symbol)
      throw new HotPatchError(
        'unsupported-object',
        `${this.source}: relocation with symbol ${index} out of range`,
      );
    return symbol;
  }

  /** Section a symbol is defined in; undefined for undefined, absolute and common symbols. */
  sectionOf(symbol: ElfSymbol): Section | undefined {
    return symbol.section === abi.SHN_UNDEF || symbol.section >= this.elf.sections.length
      ? undefined
      : this.elf.sections[symbol.section];
  }

  /** Global or common definition of that name in this object. */
  definition(name: string): ElfSymbol | undefined {
    return this.definitions.get(name);
  }

  /** The section symbol of a section with functions. */
  sectionSymbol(section: Section): ElfSymbol {
    return this.sectionSymbols.get(section.index)!;
  }

  /** Functions of a section by ascending offset. */
  functionsIn(section: Section): readonly ObjectFunction[] {
    return this.functionsBySection.get(section.index) ?? [];
  }

  /** Named symbols of a section by ascending value. */
  symbolsIn(section: Section): readonly ElfSymbol[] {
    return this.symbolsBySection.get(section.index) ?? [];
  }

  /** Where section + offset lies. `end` places (one past an object) belong to the object before them. */
  place(section: Section, offset: number): Place {
    let found: ElfSymbol | undefined;
    for (const symbol of this.symbolsIn(section)) {
      if (symbol.value > offset) break;
      if (symbol.type === abi.STT_NOTYPE && symbol.size === 0 && found) continue;
      if (offset < symbol.value + Math.max(symbol.size, 1) || !found || symbol.value > found.value)
        found = symbol;
    }
    // Constants without a name lie between those with one.
    if (found && found.size > 0 && offset > found.value + found.size && isConstant(section))
      found = undefined;
    // References may lie before their object (`&array[-1]` after strength reduction): the first one is meant.
    else found ??= this.symbolsIn(section)[0];
    return { section, offset, symbol: found };
  }

  /** The function that covers an offset. The end of a function is its own (what never returns may end in a jump there),
   * unless another one begins there. */
  functionAt(section: Section, offset: number): ObjectFunction | undefined {
    const functions = this.functionsIn(section);
    return (
      functions.find((fn) => offset >= fn.offset && offset < fn.offset + fn.size) ??
      functions.find((fn) => offset === fn.offset + fn.size)
    );
  }

  /** Is the section part of a COMDAT group (gABI, "Section Groups"): could another unit's copy be the live one? */
  inGroup(section: Section): boolean {
    return this.grouped.has(section.index);
  }

  /** Were bodies of functions left out before it was compiled? It says nothing of what is not in it. */
  get isReduced(): boolean {
    return this.leftOut.size > 0;
  }

  /** Is the code of a function not its own, because its body was left out? */
  isLeftOut(fn: ObjectFunction): boolean {
    return this.leftOut.has(fn);
  }

  /** Is it a function of the compiler's own, of which no symbol of a process tells where it is? Only the functions that
   * refer to it do. */
  isPrivate(fn: ObjectFunction): boolean {
    return this.privateSymbols.has(fn.symbol);
  }

  /** Bytes of a function. */
  code(fn: ObjectFunction): Buffer {
    return this.elf.data(fn.section).subarray(fn.offset, fn.offset + fn.size);
  }

  private collectFunctions(): ObjectFunction[] {
    const functions: ObjectFunction[] = [];
    for (const [index, symbols] of this.symbolsBySection) {
      const section = this.elf.sections[index];
      if (!section || !(section.flags & abi.SHF_EXECINSTR)) continue;
      const here: ObjectFunction[] = [];
      for (const symbol of symbols) {
        if (symbol.type !== abi.STT_FUNC && symbol.type !== abi.STT_GNU_IFUNC) continue;
        if (symbol.size === 0) continue;
        const known = here.find((fn) => fn.offset === symbol.value);
        if (known) {
          known.aliases.push(symbol);
          if (known.symbol.binding === abi.STB_LOCAL && symbol.binding !== abi.STB_LOCAL)
            known.symbol = symbol;
          known.size = Math.max(known.size, symbol.size);
        } else
          here.push({
            object: this,
            symbol,
            aliases: [symbol],
            section,
            offset: symbol.value,
            size: symbol.size,
          });
      }
      if (here.length) this.functionsBySection.set(index, here);
      functions.push(...here);
    }
    return functions;
  }
}

function isDefined(symbol: ElfSymbol): boolean {
  return symbol.section !== abi.SHN_UNDEF && symbol.name !== '';
}

/** May the section's contents be treated as constant: read-only, or read-only after relocation? */
export function isConstant(section: Section): boolean {
  return (
    !(section.flags & abi.SHF_EXECINSTR) &&
    (!(section.flags & abi.SHF_WRITE) || section.name.startsWith('.data.rel.ro'))
  );
}

/**
 * clang gives some functions names that assemblers drop (LLVM's private linkage): the wrappers that coroutines call
 * `await_suspend` in, and the body of coroutines that do nothing. Where each function has a section of its own, what is
 * left of the name is that of the section (`.text..L_Z1fv.__await_suspend_wrapper__init`).
 * @returns the symbol that it would have with the name of its debug information; undefined when the section is none
 */
function privateFunction(section: Section, index: number): ElfSymbol | undefined {
  const name = /^\.text(?:\.\w+)?\.\.L(.+)$/.exec(section.name)?.[1];
  if (name === undefined || !(section.flags & abi.SHF_EXECINSTR) || section.size === 0) return undefined;
  return {
    index,
    name,
    value: 0,
    size: section.size,
    type: abi.STT_FUNC,
    binding: abi.STB_LOCAL,
    visibility: abi.STV_DEFAULT,
    section: section.index,
  };
}

/** Does a section only say where functions are (frames, patchable entries, profiles), so that nothing calls them through it? */
export function describesCode({ name, flags }: Section): boolean {
  return (
    name === '.eh_frame' ||
    (flags & abi.SHF_LINK_ORDER) !== 0 ||
    /^__(patchable_function_entries|mcount_loc|llvm_prf_data)$/.test(name)
  );
}

function newSectionSymbol(section: Section, index: number): ElfSymbol {
  return {
    index,
    name: '',
    value: 0,
    size: 0,
    type: abi.STT_SECTION,
    binding: abi.STB_LOCAL,
    visibility: abi.STV_DEFAULT,
    section: section.index,
  };
}
