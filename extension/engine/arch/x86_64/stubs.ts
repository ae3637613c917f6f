// Stubs of the procedure linkage table on x86-64 (psABI, section 5.2): those of a patch, and the forms that linkers write.
import type { Stubs } from '../architecture';

const STUB_SIZE = 8;
/** `jmp *slot(%rip)`: ff 25 rel32, which counts from the instruction's end. */
const JUMP_THROUGH = 0xff25;
const JUMP_LENGTH = 6;

function writeStub(bytes: Buffer, at: number, place: number, slot: number): void {
  bytes.writeUInt16BE(JUMP_THROUGH, at);
  bytes.writeInt32LE(slot - (place + JUMP_LENGTH), at + 2);
}

function slotOfStub(bytes: Buffer, address: number): number | undefined {
  if (bytes.length < 4) return undefined;
  // Before the jump: endbr64 (f3 0f 1e fa), mold's `mov $index,%r11d` (41 bb imm32), a bnd prefix (f2).
  let at = 0;
  if (bytes.readUInt32BE(0) === 0xf30f1efa) at = 4;
  if (bytes[at] === 0x41 && bytes[at + 1] === 0xbb) at += 6;
  if (bytes[at] === 0xf2) at += 1;
  if (at + JUMP_LENGTH > bytes.length || bytes.readUInt16BE(at) !== JUMP_THROUGH) return undefined;
  return address + at + JUMP_LENGTH + bytes.readInt32LE(at + 2);
}

export const stubs: Stubs = { stubSize: STUB_SIZE, writeStub, longestStub: 16, slotOfStub };
