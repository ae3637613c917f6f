// Code that calls a function and leaves caller-saved registers as they were. A caller that was compiled while its callee
// used few registers (gcc -fipa-ra) may keep values in the others; a new version that uses them is entered through
// such a piece of code. Bytes and call frame information only; what is to be kept is decided by the comparison.
// Register sets are those of registers.ts. Encodings: Intel SDM volume 2; DWARF 5, section 6.4.2.

import type { InitialFrame, RegisterKeeper, RegisterSet } from '../architecture';
import { STACK_ALIGNMENT } from './registers';

const DW_CFA_advance_loc = 0x40;
const DW_CFA_advance_loc1 = 0x02;
const DW_CFA_advance_loc2 = 0x03;
const DW_CFA_def_cfa_offset = 0x0e;
const DW_CFA_def_cfa = 0x0c;
const DW_CFA_def_cfa_register = 0x0d;
const DW_CFA_offset = 0x80;
const DW_CFA_restore = 0xc0;
/** DWARF's numbers (psABI, figure 3.36). */
const RBP = 6;
const RSP = 7;
const RETURN_ADDRESS = 16;

/** Functions begin with the CFA at rsp + 8 and the return address below it (psABI, 3.7). */
export const initialFrame: InitialFrame = {
  codeAlignment: 1,
  dataAlignment: -8,
  returnAddressColumn: RETURN_ADDRESS,
  instructions: [DW_CFA_def_cfa, RSP, 8, DW_CFA_offset | RETURN_ADDRESS, 1],
};

/** Vector registers are kept to 128 bits. */
export function registerKeeper(registers: RegisterSet): RegisterKeeper {
  const aligns = (registers & STACK_ALIGNMENT) !== 0;
  const general = range(0, 16).filter((register) => registers & ~STACK_ALIGNMENT & (1 << register));
  const vectors = range(0, 16).filter((register) => registers & (1 << (16 + register)));
  const code: number[] = [];
  const frame: number[] = [];
  let moved = 0;
  /** The CFA lies 8 bytes above the stack pointer at the entry. */
  let depth = 8;
  const emit = (...bytes: number[]): void => void code.push(...bytes);
  const note = (...instructions: number[]): void => {
    frame.push(...advance(code.length - moved), ...instructions);
    moved = code.length;
  };
  const grow = (bytes: number): void => {
    depth += bytes;
    if (aligns) return; // the CFA is counted from rbp
    frame.push(...advance(code.length - moved), DW_CFA_def_cfa_offset, ...uleb(depth));
    moved = code.length;
  };
  // An entry finds the stack eight bytes short of its alignment, a rounded stack pointer does not.
  const space = vectors.length * 16 + ((general.length % 2 === 0) !== aligns ? 8 : 0);
  if (aligns) {
    emit(0x55); // push rbp
    note(DW_CFA_def_cfa_offset, 16, DW_CFA_offset | RBP, 2);
    emit(0x48, 0x89, 0xe5); // mov rbp, rsp
    note(DW_CFA_def_cfa_register, RBP);
    emit(0x48, 0x83, 0xe4, 0xf0); // and rsp, -16
  }
  for (const register of general) {
    // push, pop
    emit(...(register < 8 ? [0x50 + register] : [0x41, 0x50 + register - 8]));
    grow(8);
  }
  if (space > 0) {
    // sub rsp, space; add rsp, space
    emit(0x48, 0x81, 0xec, ...int32(space));
    grow(space);
  }
  vectors.forEach((register, i) => emit(...moveVector(0x11, register, i * 16)));
  emit(0xe8); // call rel32, to what lies behind this code
  const callField = code.length;
  emit(0, 0, 0, 0);
  vectors.forEach((register, i) => emit(...moveVector(0x10, register, i * 16)));
  if (space > 0) {
    emit(0x48, 0x81, 0xc4, ...int32(space));
    grow(-space);
  }
  for (const register of general.reverse()) {
    emit(...(register < 8 ? [0x58 + register] : [0x41, 0x58 + register - 8]));
    grow(-8);
  }
  if (aligns) {
    emit(0xc9); // leave
    note(DW_CFA_def_cfa, RSP, 8, DW_CFA_restore | RBP);
  }
  emit(0xc3);
  code.splice(callField, 4, ...int32(code.length - (callField + 4)));
  return { code: Buffer.from(code), frame: Buffer.from(frame) };
}

/** `movups [rsp + displacement]` to (10) or from (11) a vector register. */
function moveVector(opcode: number, register: number, displacement: number): number[] {
  const rex = register >= 8 ? [0x44] : [];
  return [...rex, 0x0f, opcode, 0x84 | ((register & 7) << 3), 0x24, ...int32(displacement)];
}

function advance(bytes: number): number[] {
  if (bytes < 0x40) return [DW_CFA_advance_loc | bytes];
  if (bytes < 0x100) return [DW_CFA_advance_loc1, bytes];
  return [DW_CFA_advance_loc2, bytes & 0xff, bytes >> 8];
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function int32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

function uleb(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}
