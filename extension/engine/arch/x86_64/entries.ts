// The entry of a function on x86-64: the jump that redirects it, and what may stand in the way of one. Encodings: Intel SDM
// volume 2. The runtime writes the same jumps (native/src/arch_x86_64.h).
import { BRANCH, type Entries, type EntryShape, PADDING } from '../architecture';
import { decode } from './instructions';
import { hasPrologueData, PROLOGUE_DATA_SIZE } from './prologue_data';

/** `e9 rel32`; its displacement, the last field, counts from its end. */
const JUMP = 0xe9;
const JUMP_SIZE = 5;
const INT3 = 0xcc;
const NOP = 0x90;

/** Length of the `endbr64` at the start of a function, or 0. */
function landingPad(bytes: Uint8Array): 0 | 4 {
  return bytes[0] === 0xf3 && bytes[1] === 0x0f && bytes[2] === 0x1e && bytes[3] === 0xfa ? 4 : 0;
}

/** Debuggers put an `int3` over the first byte of an instruction. A jump may have that byte in its displacement. */
function hasBreakpoint(bytes: Uint8Array, boundaries: number): boolean {
  return bytes[0] !== JUMP && bytes.some((byte, i) => byte === INT3 && (boundaries & (1 << i)) !== 0);
}

function jumpTarget(bytes: Buffer, address: number): number | undefined {
  return bytes[0] === JUMP && bytes.length >= JUMP_SIZE
    ? address + JUMP_SIZE + bytes.readInt32LE(1)
    : undefined;
}

function writeJump(bytes: Buffer, at: number, place: number, target: number): boolean {
  const displacement = target - (place + JUMP_SIZE);
  if (displacement < -0x8000_0000 || displacement > 0x7fff_ffff) return false;
  bytes[at] = JUMP;
  bytes.writeInt32LE(displacement, at + 1);
  return true;
}

function entryDataSize(body: Uint8Array): number {
  return hasPrologueData(body) ? PROLOGUE_DATA_SIZE : 0;
}

/** Where the jump goes. Prologue data stays: who calls through a pointer may be stopped when it has seen the signature,
 * and goes on to read the distance, of which a jump at the entry would replace the first byte. */
function jumpOffsetOf(body: Uint8Array): number {
  return entryDataSize(body) || landingPad(body);
}

function entryShape(body: Uint8Array, padding: Uint8Array): EntryShape {
  const jumpOffset = jumpOffsetOf(body);
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

export const entries: Entries = {
  jumpSize: JUMP_SIZE,
  entryShape,
  entryDataSize,
  jumpTarget,
  writeJump,
  hasBreakpoint,
  nops: (length) => Buffer.alloc(length, NOP),
  traps: (length) => Buffer.alloc(length, INT3),
};
