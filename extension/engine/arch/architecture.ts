// What the engine must know of a processor and its psABI: the whole of what a port writes. x86_64/ is the one that there
// is, choose.ts finds it by the machine of an ELF file, and nothing else in the extension names an instruction, a
// relocation type or a register. Types only; what is the same on every processor stands with those who use it.
import type { Relocation } from '../elf/file';

export interface Architecture
  extends Relocations, Instructions, Entries, Stubs, RegisterUse, StackUse, Calls, Threads, AddressLimits {
  /** e_machine (gABI, "ELF Header"). */
  readonly machine: number;
}

// --- relocations ---------------------------------------------------------------------------------------------------

export interface Relocations {
  /** What a relocation type means. One that is not known is `unknown`, never an error. */
  meaning(type: number): Meaning;
  /** The type that says what a field says which the assembler resolved itself.
   * @param width of the field, bytes */
  resolvedType(width: number): number;
  /**
   * Writes a relocated field.
   * @param at offset of the field in `bytes`
   * @param value what it refers to: an address, or an offset in thread-local storage. Of `pc` and `plt` the address that
   *   the field counts from is not taken off yet, the addend of a slot is added.
   * @param place address of the field
   * @returns false when the value does not fit; nothing is written then
   */
  write(type: number, bytes: Buffer, at: number, value: number, place: number): boolean;
  /**
   * What a relocated field became in linked code. The linker may have rewritten the instructions around it.
   * @param fresh bytes of the fresh function
   * @param at offset of the field in it
   * @param live bytes of the live function
   * @param liveAt offset of the same field there
   * @param base address of the live function in the process
   * @returns undefined when the live bytes cannot be a linked form of the relocation
   */
  linkedForm(
    relocation: Pick<Relocation, 'type' | 'addend'>,
    fresh: Buffer,
    at: number,
    live: Buffer,
    liveAt: number,
    base: number,
  ): LinkedForm | undefined;
  /** The types that the process's loader is to apply in a patch. */
  readonly dynamicTypes: Readonly<Record<WrittenDynamic, number>>;
  /** What a dynamic relocation of a linked file puts in its place. */
  dynamicKind(type: number): DynamicKind;
}

/** How a field comes to its value (gABI, "Relocation": symbol S, addend A, place P, slot G). */
export type Via =
  /** No field. */
  | 'nothing'
  /** S + A. */
  | 'absolute'
  /** The distance from the field to S + A. */
  | 'pc'
  /** The same for a function, which may be reached through a stub. */
  | 'plt'
  /** The distance from the field to G, a slot of the global offset table. */
  | 'got'
  /** S + A as an offset from the thread pointer. */
  | 'thread-offset'
  /** S + A as an offset in the module's thread-local storage. */
  | 'module-offset'
  | 'unknown';

/** What a slot of the global offset table holds. */
export type SlotContent =
  | 'address'
  | 'thread-offset'
  /** Two words: the module, and the offset in its thread-local storage. */
  | 'module-and-offset'
  /** Two words: the module, and 0. */
  | 'module';

export interface Meaning {
  readonly via: Via;
  /** Bytes of the field. */
  readonly width: 1 | 4 | 8;
  /** What the value of a branch counts from, as a distance from its field: on x86-64 the end of the instruction, of which
   * the field is the last part. 0 for what does not count from its place. */
  readonly origin: number;
  /** With `got`. */
  readonly slot?: SlotContent;
}

/** Does a field count from its place? Those of eight bytes are data, which counts from the field itself. */
export function isRelative({ via, width }: Meaning): boolean {
  return (via === 'pc' || via === 'plt') && width <= 4;
}

/** Is the field a pointer to what it refers to? */
export function isPointer({ via, width }: Meaning): boolean {
  return via === 'absolute' && width === 8;
}

/** What live bytes refer to. `address` values count like S + A of the relocation minus its addend. */
export type LinkedForm = {
  /** Range of bytes, from the start of the code piece, that the comparison must skip. */
  start: number;
  end: number;
  /** The next relocation belongs to the same rewritten sequence. */
  covers: number;
} & (
  | {
      kind: 'address';
      /** S + A for the relocation's own A. */
      value: number;
      /** Of a PC-relative field: it holds 0. */
      isZero?: boolean;
    }
  | { kind: 'slot'; /** Address of the GOT slot. */ slot: number }
  | {
      kind: 'target';
      /** The symbol's address itself, the addend of the relocation is used up. */ value: number;
    }
  | { kind: 'thread-offset'; /** Offset from the thread pointer, S@tpoff + A. */ value: number }
  | { kind: 'module-offset'; /** Offset in the module's TLS image. */ value: number }
  | { kind: 'nothing' }
);

/** What the loader writes into a patch: a pointer in data, a slot of the GOT, and words of thread-local slots. */
export type WrittenDynamic = 'pointer' | 'slot' | 'thread-offset' | 'module' | 'module-offset';

export type DynamicKind =
  /** The addend as an address of the file. */
  | 'relative'
  /** The same, of a function that is called to give the address (ifunc). */
  | 'resolver'
  /** An object of a library, copied into the executable. */
  | 'copy'
  | 'thread-offset'
  /** The address of a symbol, or what nobody asks about. */
  | 'other';

// --- instructions --------------------------------------------------------------------------------------------------

export interface Instructions {
  /** Loads what the others need, which takes tens of milliseconds, before there is code to decode. */
  prepare(): void;
  /** Decodes code from start to end. */
  decode(code: Uint8Array): Decoded;
  /** Every field of a piece of code that counts from its instruction, by ascending offset. */
  relativeFields(code: Uint8Array): RelativeField[];
  /** May an operand address the start of the piece itself? True also by chance; never false when one does. */
  mayAddressItself(code: Uint8Array): boolean;
  /** Is the relocated field at an offset one for which `Meaning.origin` is not enough, because what it counts from depends
   * on the instruction? */
  isInstructionRelative(code: Uint8Array, at: number): boolean;
  /** Is a PC-relative field that of a call or a jump? */
  isBranchField(code: Uint8Array, at: number): boolean;
  /** Offset of the field of a direct call from the start of its instruction. */
  readonly callField: number;
  /** Whatever may be an address in code that is not position-independent and holds addresses as numbers. */
  numbersIn(code: Buffer): number[];
  /**
   * Does code give away an address that it forms?
   * @param code of a function
   * @param field offset of the field that holds the address
   * @returns `stored` in memory that is not on the stack; `passed` to a function, or returned; undefined when neither is
   *   seen, and for instructions that read or write the object itself.
   */
  escapeOf(code: Uint8Array, field: number): 'stored' | 'passed' | undefined;
  /** Does code put this number, as wide as a pointer, into memory or a register? Not where it is a result at once. */
  putsNumber(code: Uint8Array, value: number): boolean;
}

/** Instruction boundaries of one piece of code. Parallel arrays: 200,000-line units have millions of them. */
export interface Decoded {
  count: number;
  /** Offset of instruction i from the start of the piece. */
  offsets: Uint32Array;
  lengths: Uint8Array;
  /** Kind bits, see below. */
  kinds: Uint8Array;
  /** Offset of the branch target from the start of the piece, for instructions with BRANCH; may lie outside. */
  targets: Float64Array;
  /** The decoder's number of the instruction; that of a branch is the same for its short and its long form. */
  codes: Uint16Array;
}

/** Multi-byte nops and other padding that an assembler writes to align. */
export const PADDING = 1;
/** A direct jump, conditional jump or call: the target is in `targets`. */
export const BRANCH = 2;
/** Execution does not continue behind it. */
export const ENDS = 4;
/** Not an instruction. */
export const INVALID = 8;
export const CALL = 16;

/** A field of an instruction that counts from a place of it: that of a branch or of an operand in memory. Offsets are
 * from the start of the piece. */
export interface RelativeField {
  offset: number;
  width: 1 | 4;
  /** What the value counts from, as a distance from the field. */
  beyond: number;
  target: number;
  use: 'call' | 'branch' | 'operand';
}

// --- entries of functions ------------------------------------------------------------------------------------------

export interface Entries {
  /** Bytes of the jump that redirects a function. */
  readonly jumpSize: number;
  /**
   * What matters about a function's entry for a jump over it.
   * @param body the function's bytes
   * @param padding bytes behind it up to the next symbol, of which leading padding may be used too
   */
  entryShape(body: Uint8Array, padding: Uint8Array): EntryShape;
  /** Bytes of data at the begin of a function's code, which others read; 0 where there are none. */
  entryDataSize(body: Uint8Array): number;
  /** Where the jump leads that these bytes at an address begin with; undefined when they begin with none. */
  jumpTarget(bytes: Buffer, address: number): number | undefined;
  /** Writes such a jump.
   * @param place its address
   * @returns false when the target is out of its reach */
  writeJump(bytes: Buffer, at: number, place: number, target: number): boolean;
  /** Whether there is a debugger's breakpoint in original code.
   * @param boundaries bit i: an instruction begins at byte i */
  hasBreakpoint(bytes: Uint8Array, boundaries: number): boolean;
  /** Code that does nothing. */
  nops(length: number): Buffer;
  /** Code that nobody is to reach. */
  traps(length: number): Buffer;
}

export interface EntryShape {
  jumpOffset: number;
  /** Bit i: an instruction begins at jumpOffset + i. */
  boundaries: number;
  /** A branch of the function leads into the bytes that the jump replaces (not to their start). */
  branchesBack: boolean;
  /** Bytes from the entry that are the function's or padding behind it. */
  room: number;
}

// --- stubs of the procedure linkage table --------------------------------------------------------------------------

export interface Stubs {
  /** Bytes of a stub of a patch. */
  readonly stubSize: number;
  /** Writes a stub, which goes where its slot says.
   * @param place its address
   * @param slot address of the slot, in reach of the stub */
  writeStub(bytes: Buffer, at: number, place: number, slot: number): void;
  /** Longest stub that a linker writes, bytes. */
  readonly longestStub: number;
  /** Address of the slot that a linker's stub reads; undefined for code that is none.
   * @param bytes of the stub, at least its own */
  slotOfStub(bytes: Buffer, address: number): number | undefined;
}

// --- registers -----------------------------------------------------------------------------------------------------

/** A set of registers: one bit for each. What the bits are is the architecture's affair. */
export type RegisterSet = number;

export interface RegisterUse {
  readonly registers: {
    /** Those that a function may change without keeping them. */
    readonly callerSaved: RegisterSet;
    readonly arguments: RegisterSet;
    readonly results: RegisterSet;
    readonly vectors: RegisterSet;
    /** Not a register: the stack pointer's alignment, which a keeper restores. */
    readonly stackAlignment: RegisterSet;
  };
  /** Reads and writes of every instruction of a function. */
  registerEffects(code: Uint8Array): RegisterEffects[];
  /** Vector registers that code uses beyond the part that a keeper keeps. */
  wideVectors(code: Uint8Array): RegisterSet;
  /**
   * Code that keeps registers on the stack, calls the function behind it, restores them and returns. The stack is
   * aligned at the call as the psABI demands, for callers that do so too, and with `stackAlignment` for all. Arguments
   * on the stack would not be found by the callee: callers see to it that there are none.
   */
  registerKeeper(registers: RegisterSet): RegisterKeeper;
  /** The state of every function at its first instruction. */
  readonly initialFrame: InitialFrame;
}

export interface RegisterEffects {
  offset: number;
  length: number;
  reads: RegisterSet;
  writes: RegisterSet;
  flow: 'next' | 'branch' | 'jump' | 'call' | 'indirect-jump' | 'indirect-call' | 'return';
  /** Offset of a direct branch's target from the start of the piece. */
  target: number;
}

export interface RegisterKeeper {
  /** Ends where the called function's own code begins. */
  code: Buffer;
  /** Call frame instructions behind those of a CIE with the initial frame, unpadded. */
  frame: Buffer;
}

/** What a CIE says (DWARF 5, section 6.4.1). */
export interface InitialFrame {
  codeAlignment: number;
  /** Signed, one byte of SLEB128. */
  dataAlignment: number;
  returnAddressColumn: number;
  instructions: readonly number[];
}

// --- the stack -----------------------------------------------------------------------------------------------------

export interface StackUse {
  /** By offset of the call or of the jump that leaves the code. What no branch leads to is taken for unknown. */
  stackAlignments(code: Uint8Array): Map<number, StackAlignment>;
  /** Code with the sizes of its frames as they are in other code of the same length: what it takes from the stack pointer
   * at once. Undefined when it takes them at other places. */
  withFrameSizesOf(code: Buffer, other: Buffer): Buffer | undefined;
  /** Whether code may read what its caller left on the stack. */
  mayReadStackArguments(code: Uint8Array): boolean;
}

/** At a call (or a jump to another function): aligned, whatever the caller found; aligned if the caller was entered with
 * an aligned stack; aligned if it was not; or not known, in code that moves the stack pointer by a value. */
export type StackAlignment = 'always' | 'as-entered' | 'opposite' | 'unknown';

// --- calls -------------------------------------------------------------------------------------------------------

export interface Calls {
  /** How many registers there are for arguments. */
  readonly argumentRegisters: ArgumentRegisters;
  /** Registers that an argument takes, at most; undefined when it may lie in memory. */
  registersOf(value: PassedValue): ArgumentRegisters | undefined;
  /** How an object is passed and returned, where its bytes may be copied: the same text means the same way. */
  passingOf(fields: readonly Field[], size: number): string;
  /** Registers that a result may be in. */
  resultRegisters(value: PassedValue): RegisterSet;
  /** Those that the address takes at which a result is to be written. */
  readonly resultAddress: ArgumentRegisters;
  /** What is still there of the arguments of a call that runs.
   * @returns undefined when the code cannot be followed to that place */
  entryValues(pieces: readonly CodePiece[], place: PlaceInCall): EntryValues | undefined;
  /** Bytes that a call leaves on the stack below what its caller's frame ends with. */
  readonly returnAddressSize: number;
  /** General registers by their DWARF numbers: those that a function keeps, but for the stack pointer; of results; of
   * arguments, in their order. Vector registers for arguments are numbered from 0, and the first is that of results. */
  readonly generalRegisters: {
    readonly kept: readonly number[];
    readonly results: readonly number[];
    readonly arguments: readonly number[];
  };
}

/** A part of a function's code, as the file has it; the first one begins with the entry. */
export interface CodePiece {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Addresses in any part at which a call may go on that throws. */
  readonly landingPads: readonly number[];
}

export interface PlaceInCall {
  /** Address of the instruction that is to be carried out, or of any byte of a call that runs. */
  readonly inside: number;
  readonly isBehindCall: boolean;
  /** Each parameter has a place of its own on the stack, as long as the function runs. */
  readonly hasHomes: boolean;
}

/** Where the low bytes of what an argument register held at the entry still are: in a general register, by its DWARF number;
 * in a vector register; or on the stack, by the distance from the stack pointer at the entry. */
export type EntryValue =
  | { readonly place: 'register'; readonly number: number; readonly bytes: number }
  | { readonly place: 'vector'; readonly number: number; readonly bytes: number }
  | { readonly place: 'stack'; readonly offset: number; readonly bytes: number };

/** Of each argument register, in their order. */
export interface EntryValues {
  readonly integers: readonly (EntryValue | undefined)[];
  readonly vectors: readonly (EntryValue | undefined)[];
}

export interface ArgumentRegisters {
  readonly integer: number;
  readonly vector: number;
}

/** An argument as the rules for passing arguments see it. */
/** A number, pointer or enumeration in an object. */
export interface Field {
  /** Bytes from the start of the object. */
  offset: number;
  size: number;
  isFloat: boolean;
}

export type PassedValue =
  /** Also a pointer. Of two words: a pointer to a member function (Itanium C++ ABI, 2.3). */
  | { kind: 'integer' | 'float' | 'complex-float'; size: number }
  /** An object whose bytes may be copied.
   * @param isAligned whether it consists of aligned fields of at most eight bytes */
  | { kind: 'class'; size: number; isAligned: () => boolean };

// --- threads and the address space ---------------------------------------------------------------------------------

/** PT_TLS of a module. */
export interface ThreadLocalBlock {
  size: number;
  alignment: number;
}

export interface Threads {
  /** What a variable of an executable is from the thread pointer ("ELF Handling For Thread-Local Storage", section 3).
   * @param offset of it in the module's block */
  threadOffset(block: ThreadLocalBlock, offset: number): number;
  /** The number of the system call futex(2). */
  readonly futexCall: number;
}

export interface Range {
  start: number;
  /** First address behind it. */
  end: number;
}

export interface AddressLimits {
  /** First address behind user space. */
  readonly userSpaceEnd: number;
  /** How far PC-relative operands reach, with some slack for addends and alignment. */
  readonly reach: number;
  /** Code that is not position-independent holds addresses below this one. */
  readonly absoluteEnd: number;
  /** Addresses for which a jump there from the module stays intact under breakpoints that debuggers set behind a
   * prologue; empty when there are none. */
  breakpointProof(module: Range): Range;
}
