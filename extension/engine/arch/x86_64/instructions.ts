// Where x86-64 instructions begin and end, which are padding, where branches go and operands point (Intel SDM volume 2).
// Decoding itself is iced-x86's. Must not know about symbols or relocations.
import { Code, FlowControl, type Instruction, Mnemonic, OpKind, Register } from 'iced-x86';
import {
  BRANCH,
  CALL,
  type Decoded,
  ENDS,
  type Instructions,
  INVALID,
  PADDING,
  type RelativeField,
} from '../architecture';
import { forEachInstruction, withDecoder } from './decoder';
import { escapeOf } from './escaping_addresses';
import { hasPrologueData, PROLOGUE_DATA_SIZE, TYPE_DISTANCE } from './prologue_data';
import { registerEffects } from './registers';

const RET = 0xc3;

export function decode(bytes: Uint8Array): Decoded {
  const offsets = new Uint32Array(bytes.length);
  const lengths = new Uint8Array(bytes.length);
  const kinds = new Uint8Array(bytes.length);
  const targets = new Float64Array(bytes.length);
  const codes = new Uint16Array(bytes.length);
  let count = 0;
  forEachInstruction(bytes, (instruction, at) => {
    const length = instruction.length;
    const code = instruction.code;
    offsets[count] = at;
    lengths[count] = length;
    codes[count] = code;
    let kind = 0;
    // Compared as one instruction, with a field in it.
    if (at === 0 && hasPrologueData(bytes)) lengths[count] = PROLOGUE_DATA_SIZE;
    else if (code === Code.INVALID) kind = INVALID;
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

function relativeFields(bytes: Uint8Array): RelativeField[] {
  const fields: RelativeField[] = [];
  withDecoder(bytes, (decoder, instruction) => {
    let at = 0;
    if (hasPrologueData(bytes)) {
      const target = new DataView(bytes.buffer, bytes.byteOffset).getInt32(TYPE_DISTANCE, true);
      fields.push({ offset: TYPE_DISTANCE, width: 4, beyond: -TYPE_DISTANCE, target, use: 'operand' });
      at = decoder.position = PROLOGUE_DATA_SIZE;
    }
    while (decoder.canDecode) {
      decoder.decodeOut(instruction);
      const end = at + instruction.length;
      if (isDirectBranch(instruction)) {
        const width = isNear(instruction) ? 4 : 1;
        fields.push({
          offset: end - width,
          width,
          beyond: width,
          target: branchTarget(bytes, at, instruction.length, instruction),
          use: instruction.flowControl === FlowControl.Call ? 'call' : 'branch',
        });
      } else if (instruction.isIpRelMemoryOperand) {
        const constants = decoder.getConstantOffsets(instruction);
        const offset = at + constants.displacementOffset;
        constants.free();
        const target = end + new DataView(bytes.buffer, bytes.byteOffset).getInt32(offset, true);
        // An immediate may lie behind it.
        fields.push({ offset, width: 4, beyond: end - offset, target, use: 'operand' });
      }
      at = end;
    }
  });
  return fields;
}

function mayAddressItself(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 1; at + 4 <= bytes.length; at++) {
    if (!isInstructionRelative(bytes, at)) continue;
    const end = -view.getInt32(at, true);
    if (end >= at + 4 && end <= at + 8) return true;
  }
  return false;
}

/** Is a relocated field at an offset the displacement of a memory operand that counts from its instruction's end (ModRM
 * mod 00, rm 101), or that of prologue data? If not, it is a branch's, or no field that counts from there. */
function isInstructionRelative(bytes: Uint8Array, at: number): boolean {
  if (at === TYPE_DISTANCE && hasPrologueData(bytes)) return true;
  return at > 0 && (bytes[at - 1]! & 0xc7) === 0x05;
}

/** Is a field that counts from its instruction's end that of a direct call (e8), jump (e9, eb) or conditional jump
 * (0f 80 to 8f, 70 to 7f)? No ModRM byte of a PC-relative operand is one of the long ones (Intel SDM volume 2, table 2-7:
 * mod 00, r/m 101). */
function isBranchField(bytes: Uint8Array, at: number): boolean {
  const opcode = bytes[at - 1];
  if (opcode === undefined) return false;
  if (opcode === 0xe8 || opcode === 0xe9 || opcode === 0xeb || (opcode & 0xf0) === 0x70) return true;
  return bytes[at - 2] === 0x0f && (opcode & 0xf0) === 0x80;
}

/** Displacements, immediates and all else: every four bytes. */
function numbersIn(code: Buffer): number[] {
  const numbers: number[] = [];
  for (let at = 0; at + 4 <= code.length; at++) numbers.push(code.readUInt32LE(at));
  return numbers;
}

/** Is it an immediate that is extended to 64 bits, or has as many? */
function isWide(operand: OpKind): boolean {
  return (
    operand === OpKind.Immediate8to64 || operand === OpKind.Immediate32to64 || operand === OpKind.Immediate64
  );
}

/** `or` is short for a move of -1, a push goes with a pop. */
function puts(mnemonic: Mnemonic): boolean {
  return mnemonic === Mnemonic.Mov || mnemonic === Mnemonic.Or || mnemonic === Mnemonic.Push;
}

function putsNumber(code: Uint8Array, value: number): boolean {
  const wanted = BigInt.asUintN(64, BigInt(value));
  let found = false;
  // The register of results has it, which may stay there.
  let isInResult = false;
  forEachInstruction(code, (instruction) => {
    const last = instruction.opCount - 1;
    found ||= isInResult && instruction.mnemonic === Mnemonic.Mov && instruction.op1Register === Register.RAX;
    isInResult = false;
    if (!puts(instruction.mnemonic) || !isWide(instruction.opKind(last))) return;
    if (BigInt.asUintN(64, instruction.immediate(last)) !== wanted) return;
    isInResult = instruction.op0Register === Register.RAX;
    found ||= !isInResult;
  });
  return found;
}

/** iced makes its tables with the first decoder. */
function prepare(): void {
  registerEffects(Uint8Array.of(RET));
}

export const instructions: Instructions = {
  prepare,
  decode,
  relativeFields,
  mayAddressItself,
  isInstructionRelative,
  isBranchField,
  // e8 rel32
  callField: 1,
  numbersIn,
  escapeOf,
  putsNumber,
};
