// What the comparison and the linker need to know about x86-64 machine code: where instructions begin and end,
// which are padding, where branches go (Intel SDM vol. 2). Decoding itself is iced-x86's; nothing else imports it
// but the disassembly for people. Must not know about symbols or relocations.
import { Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic } from 'iced-x86';

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
  /** iced's Code with branches normalised to their mnemonic, so that short and near forms compare equal. */
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

/** iced's objects live in WebAssembly memory, which nothing collects. */
function withDecoder(bytes: Uint8Array, read: (decoder: Decoder, instruction: Instruction) => void): void {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const instruction = new Instruction();
  try {
    read(decoder, instruction);
  } finally {
    instruction.free();
    decoder.free();
  }
}

/** Decodes `bytes` from start to end. */
export function decode(bytes: Uint8Array): Decoded {
  const offsets = new Uint32Array(bytes.length);
  const lengths = new Uint8Array(bytes.length);
  const kinds = new Uint8Array(bytes.length);
  const targets = new Float64Array(bytes.length);
  const codes = new Uint16Array(bytes.length);
  let count = 0;
  let at = 0;
  withDecoder(bytes, (decoder, instruction) => {
    while (decoder.canDecode) {
      decoder.decodeOut(instruction);
      const length = instruction.length;
      const code = instruction.code;
      offsets[count] = at;
      lengths[count] = length;
      codes[count] = code;
      let kind = 0;
      if (code === Code.INVALID) kind = INVALID;
      else if (isPadding(bytes, at, length, instruction)) kind = PADDING;
      else if (isDirectBranch(instruction)) {
        const flow = instruction.flowControl;
        kind = BRANCH;
        if (flow === FlowControl.UnconditionalBranch) kind |= ENDS;
        if (flow === FlowControl.Call) kind |= CALL;
        targets[count] = branchTarget(bytes, at, length, instruction);
        codes[count] = instruction.mnemonic;
      } else if (isEnd(instruction)) kind = ENDS;
      kinds[count] = kind;
      count++;
      at += length;
    }
  });
  return { count, offsets, lengths, kinds, targets, codes };
}

function isDirectBranch(instruction: Instruction): boolean {
  switch (instruction.flowControl) {
    case FlowControl.ConditionalBranch:
    case FlowControl.UnconditionalBranch:
    case FlowControl.Call:
      return true;
    case FlowControl.XbeginXabortXend:
      return instruction.mnemonic === Mnemonic.Xbegin;
    default:
      return false;
  }
}

function isEnd({ flowControl }: Instruction): boolean {
  return flowControl === FlowControl.Return || flowControl === FlowControl.IndirectBranch;
}

/** Has a direct branch a displacement of 32 bits (else 8)? */
function isNear(instruction: Instruction): boolean {
  return (
    instruction.isJccNear ||
    instruction.isJmpNear ||
    instruction.isCallNear ||
    instruction.mnemonic === Mnemonic.Xbegin
  );
}

/** Offset of the target of a direct branch, relative to the piece. The displacement is its last field. */
function branchTarget(bytes: Uint8Array, at: number, length: number, instruction: Instruction): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = at + length;
  return end + (isNear(instruction) ? view.getInt32(end - 4, true) : view.getInt8(end - 1));
}

function isPadding(bytes: Uint8Array, at: number, length: number, instruction: Instruction): boolean {
  if (instruction.mnemonic === Mnemonic.Nop) return true;
  // gas also pads with `xchg %ax,%ax` (66 90, decoded as nop already) and, in old versions, `lea 0(%rsi),%rsi`.
  return length === 1 && bytes[at] === 0xcc;
}

/** A field of an instruction that counts from the instruction's end: the displacement of a branch or a memory operand.
 * Offsets are from the start of the piece. */
export interface RelativeField {
  offset: number;
  width: 1 | 4;
  /** End of the instruction (psABI, "Relocation": P is the field, an immediate may lie behind it). */
  end: number;
  target: number;
  use: 'call' | 'branch' | 'operand';
}

/** Every field of a piece of code that counts from the end of its instruction, by ascending offset. */
export function relativeFields(bytes: Uint8Array): RelativeField[] {
  const fields: RelativeField[] = [];
  withDecoder(bytes, (decoder, instruction) => {
    let at = 0;
    while (decoder.canDecode) {
      decoder.decodeOut(instruction);
      const end = at + instruction.length;
      if (isDirectBranch(instruction)) {
        const width = isNear(instruction) ? 4 : 1;
        fields.push({
          offset: end - width,
          width,
          end,
          target: branchTarget(bytes, at, instruction.length, instruction),
          use: instruction.flowControl === FlowControl.Call ? 'call' : 'branch',
        });
      } else if (instruction.isIpRelMemoryOperand) {
        const constants = decoder.getConstantOffsets(instruction);
        const offset = at + constants.displacementOffset;
        constants.free();
        const target = end + new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset, true);
        fields.push({ offset, width: 4, end, target, use: 'operand' });
      }
      at = end;
    }
  });
  return fields;
}

/** May a memory operand address the start of the piece itself? True also by chance; never false when one does. */
export function mayAddressItself(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 1; at + 4 <= bytes.length; at++) {
    if (!isInstructionRelative(bytes, at)) continue;
    const end = -view.getInt32(at, true);
    if (end >= at + 4 && end <= at + 8) return true;
  }
  return false;
}

/** Is a relocated field at an offset the displacement of a memory operand that counts from its instruction's end (ModRM
 * mod 00, rm 101)? If not, it is a branch's, or no field that counts from there. */
export function isInstructionRelative(bytes: Uint8Array, at: number): boolean {
  return at > 0 && (bytes[at - 1]! & 0xc7) === 0x05;
}

/** Is a field that counts from its instruction's end that of a direct call (e8), jump (e9, eb) or conditional jump (0f 80 to 8f, 70 to 7f)? No ModRM
 * byte of a PC-relative operand is one of the long ones (Intel SDM volume 2, table 2-7: mod 00, r/m 101). */
export function isBranchField(bytes: Uint8Array, at: number): boolean {
  const opcode = bytes[at - 1];
  if (opcode === undefined) return false;
  if (opcode === 0xe8 || opcode === 0xe9 || opcode === 0xeb || (opcode & 0xf0) === 0x70) return true;
  return bytes[at - 2] === 0x0f && (opcode & 0xf0) === 0x80;
}

/** Length of the `endbr64` at the start of a function, or 0. */
export function entryLandingPad(bytes: Uint8Array): 0 | 4 {
  return bytes[0] === 0xf3 && bytes[1] === 0x0f && bytes[2] === 0x1e && bytes[3] === 0xfa ? 4 : 0;
}

const INT3 = 0xcc;
const JUMP = 0xe9;

/** Whether there is an `int3`, which debuggers put over the first byte of an instruction, in original code: a jump may
 * have that byte in its displacement.
 * @param boundaries bit i: an instruction begins at byte i */
export function hasBreakpoint(bytes: Uint8Array, boundaries: number): boolean {
  return bytes[0] !== JUMP && bytes.some((byte, i) => byte === INT3 && (boundaries & (1 << i)) !== 0);
}

/** Size of the jump that redirects a function: `e9 rel32`. */
export const JUMP_SIZE = 5;

/** Where the jump leads that these bytes at an address begin with; undefined when they begin with none. */
export function jumpTarget(bytes: Buffer, address: number): number | undefined {
  return bytes[0] === JUMP && bytes.length >= JUMP_SIZE
    ? address + JUMP_SIZE + bytes.readInt32LE(1)
    : undefined;
}

/** Writes such a jump; its displacement, the last field, counts from its end. */
export function writeJump(bytes: Uint8Array, at: number): void {
  bytes[at] = JUMP;
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

/** What matters about a function's entry for a jump over it.
 * @param body the function's bytes
 * @param padding bytes behind it up to the next symbol, of which leading nop/int3 padding may be used too */
export function entryShape(body: Uint8Array, padding: Uint8Array): EntryShape {
  const jumpOffset = entryLandingPad(body);
  const decoded = decode(body);
  let boundaries = 0;
  let branchesBack = false;
  for (let i = 0; i < decoded.count; i++) {
    const offset = decoded.offsets[i]! - jumpOffset;
    if (offset >= 0 && offset < JUMP_SIZE) boundaries |= 1 << offset;
    if (decoded.kinds[i]! & BRANCH) {
      const target = decoded.targets[i]! - jumpOffset;
      if (target > 0 && target < JUMP_SIZE) branchesBack = true;
    }
  }
  let room = body.length;
  if (padding.length > 0) {
    const behind = decode(padding);
    for (let i = 0; i < behind.count && behind.kinds[i]! & PADDING; i++) room += behind.lengths[i]!;
  }
  return { jumpOffset, boundaries: boundaries | 1, branchesBack, room };
}
