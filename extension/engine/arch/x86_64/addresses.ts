// The address space and the thread-local storage of an x86-64 process.
import type { AddressLimits, Range, ThreadLocalBlock, Threads } from '../architecture';
import { PROLOGUE_DATA_SIZE } from './prologue_data';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Operands and branches are signed 32 bits; the slack is for addends and alignment. */
const REACH = 2 * GIB - 1 * MIB;

/** Target addresses for which the top byte of a `jmp rel32` from the module is 0xcc. Debuggers set breakpoints "after the
 * prologue" on exactly that byte (entry + 4, behind `push %rbp; mov %rsp,%rbp`). If the byte is 0xcc already, their
 * int3 changes nothing, so the jump stays intact. */
function breakpointProof({ start, end }: Range): Range {
  const lowest = -0x3400_0000; // 0xcc000000 as a signed number
  const highest = -0x3300_0001; // 0xccffffff
  const jumpEnds = { first: start + 5, last: end + PROLOGUE_DATA_SIZE + 5 }; // behind prologue data, at most
  return { start: jumpEnds.last + lowest, end: jumpEnds.first + highest + 1 };
}

export const addressLimits: AddressLimits = {
  // With four-level page tables; beyond it is only [vsyscall].
  userSpaceEnd: 0x7fff_ffff_f000,
  reach: REACH,
  // Immediates and displacements are sign-extended from 32 bits.
  absoluteEnd: REACH,
  breakpointProof,
};

export const threads: Threads = {
  // The thread pointer lies behind the module's block (variant II).
  threadOffset: ({ size, alignment }: ThreadLocalBlock, offset) =>
    offset - Math.ceil(size / alignment) * alignment,
  futexCall: 202,
};
