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

const scratch = { instruction: undefined as Instruction | undefined };

/** Decodes `bytes` from start to end. */
export function decode(bytes: Uint8Array): Decoded {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const instruction = (scratch.instruction ??= new Instruction());
  const offsets = new Uint32Array(bytes.length);
  const lengths = new Uint8Array(bytes.length);
  const kinds = new Uint8Array(bytes.length);
  const targets = new Float64Array(bytes.length);
  const codes = new Uint16Array(bytes.length);
  let count = 0;
  let at = 0;
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
    else {
      const flow = instruction.flowControl;
      switch (flow) {
        case FlowControl.ConditionalBranch:
        case FlowControl.UnconditionalBranch:
        case FlowControl.Call:
        case FlowControl.XbeginXabortXend:
          if (flow === FlowControl.XbeginXabortXend && instruction.mnemonic !== Mnemonic.Xbegin) break;
          kind = BRANCH;
          if (flow === FlowControl.UnconditionalBranch) kind |= ENDS;
          if (flow === FlowControl.Call) kind |= CALL;
          targets[count] = branchTarget(bytes, at, length, instruction);
          codes[count] = instruction.mnemonic;
          break;
        case FlowControl.Return:
        case FlowControl.IndirectBranch:
          kind = ENDS;
          break;
        default:
          break;
      }
    }
    kinds[count] = kind;
    count++;
    at += length;
  }
  return { count, offsets, lengths, kinds, targets, codes };
}

/** Offset of the target of a direct branch, relative to the piece. The displacement is its last field. */
function branchTarget(bytes: Uint8Array, at: number, length: number, instruction: Instruction): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = at + length;
  const near =
    instruction.isJccNear ||
    instruction.isJmpNear ||
    instruction.isCallNear ||
    instruction.mnemonic === Mnemonic.Xbegin;
  return end + (near ? view.getInt32(end - 4, true) : view.getInt8(end - 1));
}

function isPadding(bytes: Uint8Array, at: number, length: number, instruction: Instruction): boolean {
  if (instruction.mnemonic === Mnemonic.Nop) return true;
  // gas also pads with `xchg %ax,%ax` (66 90, decoded as nop already) and, in old versions, `lea 0(%rsi),%rsi`.
  return length === 1 && bytes[at] === 0xcc;
}

/** Distance from a relocated field to the end of its instruction, for each field offset (sorted ascending):
 * a PC-relative displacement counts from there (psABI, "Relocation": P is the field, not the next instruction).
 * 4 unless an immediate follows the displacement. */
export function distancesToEnd(bytes: Uint8Array, fields: readonly number[]): Uint8Array {
  const distances = new Uint8Array(fields.length).fill(4);
  if (fields.length === 0) return distances;
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const instruction = (scratch.instruction ??= new Instruction());
  let at = 0;
  let next = 0;
  while (decoder.canDecode && next < fields.length) {
    decoder.decodeOut(instruction);
    const end = at + instruction.length;
    while (next < fields.length && fields[next]! < end) {
      distances[next] = end - fields[next]!;
      next++;
    }
    at = end;
  }
  return distances;
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
