// Does a relocated field of fresh code or data refer to the same live thing? Takes what the architecture read from the live
// bytes and compares it with the relocation's symbol. What depends on the counterparts of other functions and of
// numbered variables is left as an expectation, to be judged when they are known (unit.ts).
import type { LinkedForm } from '../arch/architecture';
import * as abi from '../elf/constants';
import type { ElfSymbol } from '../elf/file';
import { signed64 } from '../elf/integers';
import { isConstant, type ObjectFile } from '../elf/object';
import { type LiveImage, NOBODY } from '../live/live_image';
import { ConstantComparison, type IsReferred } from './constants';
import { isNumbered } from './correlate';
import type { Expectation } from './match';
import type { ObjectReferences, Reference } from './object_references';
import type { VariableVotes } from './votes';

/** Counters of `-fprofile-instr-generate` and `-fprofile-generate`, and what the latter records of the targets of indirect
 * calls (LLVM, "Instrumentation Profile Format"). */
const PROFILE = ['__llvm_prf_cnts', '__llvm_prf_data', '__llvm_prf_vals'];

export class ReferenceComparison {
  readonly constants: ConstantComparison;

  constructor(
    private readonly object: ObjectFile,
    references: ObjectReferences,
    private readonly live: LiveImage,
    private readonly variables: VariableVotes,
    isReferred: IsReferred,
  ) {
    this.constants = new ConstantComparison(
      object,
      references,
      live,
      (...target) => this.sameTarget(...target),
      isReferred,
    );
  }

  sameReference(fresh: Reference, live: LinkedForm, expectations: Expectation[]): boolean {
    const symbol = this.object.symbol(fresh.symbol);
    switch (live.kind) {
      case 'nothing':
        return true;
      case 'thread-offset':
        return this.sameThreadLocal(symbol, fresh.addend, live.value, true, expectations);
      case 'module-offset': {
        // In an executable the linker turned it into an offset from the thread pointer, which leads elsewhere than into
        // the module's image.
        const { tls } = this.live.module;
        const isPlain = tls !== undefined && live.value >= 0 && live.value < tls.size;
        return this.sameThreadLocal(symbol, fresh.addend, live.value, !isPlain, expectations);
      }
      case 'slot':
        return this.sameSlot(symbol, fresh, live.slot, expectations);
      case 'target':
        return this.sameTarget(symbol, 0, live.value, expectations);
      case 'address':
        // The call of a weak function that does not exist, which is never made: a patch has 0 there.
        if (live.isZero && this.isMissing(symbol)) return true;
        return this.sameTarget(
          symbol,
          fresh.addend + fresh.beyond,
          this.throughIsland(live.value + fresh.beyond),
          expectations,
        );
    }
  }

  /** Where a branch of a patch leads that is too short for its target: to a jump behind its function. */
  private throughIsland(address: number): number {
    const image = this.live.imageAt(address);
    if (image?.patch === undefined || image.covering(address)) return address;
    // The bytes of a constant may look like a jump.
    if (!((image.sectionAt(address)?.flags ?? 0) & abi.SHF_EXECINSTR)) return address;
    const bytes = image.bytes(address, image.arch.jumpSize);
    return (bytes && image.arch.jumpTarget(bytes, address)) ?? address;
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
      if (!this.sameName(symbol, offset, address)) return false;
      expectations.push({ kind: 'name', name: symbol.name, address: address - offset });
      return true;
    }
    const at = symbol.value + offset;
    if (section.flags & abi.SHF_EXECINSTR) {
      const target = this.object.functionAt(section, at);
      if (!target) {
        // Hand-written code without a size: a label says what it is.
        const label = symbol.name ? symbol : this.object.place(section, at).symbol;
        return (
          label !== undefined &&
          this.live.symbolsAt(address - (at - label.value)).some((live) => live.name === label.name)
        );
      }
      const within = at - target.offset;
      // Data at an entry is where the entry is, whichever version runs.
      const isData = within < this.live.module.arch.entryDataSize(this.object.code(target));
      expectations.push(
        isData
          ? { kind: 'function', target, offset: 0, address: address - within }
          : { kind: 'function', target, offset: within, address },
      );
      return true;
    }
    if (section.flags & abi.SHF_TLS)
      return this.sameThreadLocal(symbol, offset, address, false, expectations);
    if (isConstant(section)) return this.constants.sameConstantAt(section, symbol, at, address, expectations);
    const place = this.object.place(section, at);
    if (!place.symbol && PROFILE.includes(section.name)) return this.isOfProfile(section.name, address);
    // The image of an automatic array's initialiser has no name; gcc puts it into .data when it holds addresses.
    if (!place.symbol) return this.constants.sameConstantAt(section, symbol, at, address, expectations);
    expectations.push({ kind: 'variable', symbol: place.symbol, offset: at - place.symbol.value, address });
    return true;
  }

  /** clang's profile counters and records have no names: which of them one is changes nothing that the program does. Those of
   * patches lie among their variables. */
  private isOfProfile(name: string, address: number): boolean {
    const image = this.live.imageAt(address);
    const section = image?.sectionAt(address);
    if (image?.patch === undefined) return section?.name === name;
    return section !== undefined && (section.flags & abi.SHF_WRITE) !== 0;
  }

  /** An undefined (or common) symbol: the same name in the process, as a definition or behind a PLT stub. */
  private sameName(symbol: ElfSymbol, offset: number, address: number): boolean {
    const global = this.live.global(symbol.name);
    if (global && global.address + offset === address) return true;
    if (this.live.stubTarget(address - offset) === symbol.name) return true;
    if (this.live.symbolsAt(address - offset).some((live) => live.name === symbol.name)) return true;
    // Names that the linker defines or versions (`stdout@GLIBC_2.2.5`) and undefined weak ones, which are 0.
    if (this.live.symbolsAt(address - offset).some((live) => live.name.startsWith(`${symbol.name}@`)))
      return true;
    if (!this.isMissing(symbol)) return false;
    // Linkers have a call of what is not there lead to 0, to where the file's address 0 came to lie, or to a stub.
    const nowhere = [0, this.live.imageAt(address - offset)?.bias];
    return nowhere.includes(address - offset) || this.live.stubTarget(address - offset) === NOBODY;
  }

  private isMissing(symbol: ElfSymbol): boolean {
    return (
      symbol.section === abi.SHN_UNDEF &&
      symbol.binding === abi.STB_WEAK &&
      this.live.global(symbol.name) === undefined
    );
  }

  private sameSlot(
    symbol: ElfSymbol,
    { meaning }: Reference,
    slot: number,
    expectations: Expectation[],
  ): boolean {
    const image = this.live.imageAt(slot);
    if (!image) return false;
    const held = image.dynamicAt(slot);
    if (meaning.slot === 'thread-offset' || meaning.slot === 'module-and-offset') {
      if (held?.name) return held.name === symbol.name;
      // The slot of a local symbol: its offset is the addend, or lies in the word behind that of the module.
      if (held?.kind === 'thread-offset')
        return this.sameThreadLocal(symbol, 0, held.addend, false, expectations);
      const fromThreadPointer = meaning.slot === 'thread-offset';
      const word = image.bytes(slot + (fromThreadPointer ? 0 : 8), 8);
      return (
        word !== undefined &&
        this.sameThreadLocal(symbol, 0, signed64(word, 0), fromThreadPointer, expectations)
      );
    }
    const pointer = image.pointerAt(slot);
    if (!pointer) return false;
    if ('name' in pointer) {
      expectations.push({ kind: 'name', name: symbol.name, address: slot });
      return pointer.name === symbol.name;
    }
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
    const { tls, arch } = this.live.module;
    if (!tls) return false;
    const section = this.object.sectionOf(symbol);
    const wanted = fromThreadPointer ? value - arch.threadOffset(tls, 0) : value;
    if (!section) {
      const live = this.live.module.global(symbol.name);
      return live?.type === abi.STT_TLS && live.address + offset === wanted;
    }
    const place = this.object.place(section, symbol.value + offset);
    if (!place.symbol) return false;
    const delta = place.offset - place.symbol.value;
    const live = this.variables.variable(place.symbol);
    if (live && live.address + delta === wanted) return true;
    if (!isNumbered(place.symbol.name)) return false;
    expectations.push({ kind: 'variable', symbol: place.symbol, offset: delta, address: wanted });
    return true;
  }
}
