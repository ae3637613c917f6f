// Which registers x86-64 code reads and writes, and which ones calls change (psABI, "Register Usage"). Sets are bit masks:
// bits 0–15 the general registers in encoding order, bits 16–31 xmm0–xmm15.
import { FlowControl, OpAccess, Register, RegisterExt } from 'iced-x86';
import type { RegisterEffects, RegisterSet, RegisterUse } from '../architecture';
import { forEachRegisterUse } from './decoder';

/** The stack pointer's bit, which no set of registers to keep has for any other reason. */
export const STACK_ALIGNMENT = 1 << 4;

export const registers: RegisterUse['registers'] = {
  /** rax rcx rdx rsi rdi r8–r11 and all vector registers (psABI, figure 3.4). */
  callerSaved: 0xffff_0fc7 | 0,
  /** rdi rsi rdx rcx r8 r9 and xmm0–xmm7. */
  arguments: 0x00ff_03c6,
  /** rax rdx xmm0 xmm1. */
  results: 0x0003_0005,
  vectors: 0xffff_0000 | 0,
  stackAlignment: STACK_ALIGNMENT,
};

/** Reads and writes of every instruction of a function. */
export function registerEffects(code: Uint8Array): RegisterEffects[] {
  const effects: RegisterEffects[] = [];
  forEachRegisterUse(code, (instruction, offset, registers) => {
    let reads = 0;
    let writes = 0;
    for (const used of registers) {
      const bit = bitOf(used.register);
      switch (used.access) {
        case OpAccess.Read:
        case OpAccess.CondRead:
          reads |= bit;
          break;
        case OpAccess.Write:
          writes |= bit;
          break;
        case OpAccess.CondWrite:
        case OpAccess.ReadWrite:
        case OpAccess.ReadCondWrite:
          // A conditional write leaves the old value in place: for liveness it is a read as well.
          reads |= bit;
          writes |= bit;
          break;
        default:
          break;
      }
    }
    effects.push({
      offset,
      length: instruction.length,
      reads,
      writes,
      flow: flowOf(instruction.flowControl),
      target: Number(BigInt.asIntN(64, instruction.nearBranchTarget)),
    });
  });
  return effects;
}

/** Those that code uses beyond their lower 128 bits. */
export function wideVectors(code: Uint8Array): RegisterSet {
  let wide = 0;
  forEachRegisterUse(code, (_instruction, _offset, registers) => {
    for (const { register, access } of registers) {
      // A VEX-encoded write of 128 bits clears the rest, and iced names that the write of a ymm or zmm register.
      const reads = access === OpAccess.Read || access === OpAccess.CondRead;
      if (register >= Register.YMM0 && reads) wide |= bitOf(register);
    }
  });
  return wide;
}

function bitOf(register: Register): number {
  const full = RegisterExt.fullRegister(register);
  if (full >= Register.RAX && full <= Register.R15) return 1 << (full - Register.RAX);
  if (full >= Register.ZMM0 && full <= Register.ZMM15) return 1 << (16 + full - Register.ZMM0);
  return 0;
}

function flowOf(flow: FlowControl): RegisterEffects['flow'] {
  switch (flow) {
    case FlowControl.ConditionalBranch:
      return 'branch';
    case FlowControl.UnconditionalBranch:
      return 'jump';
    case FlowControl.Call:
      return 'call';
    case FlowControl.IndirectCall:
      return 'indirect-call';
    case FlowControl.IndirectBranch:
      return 'indirect-jump';
    case FlowControl.Return:
      return 'return';
    default:
      return 'next';
  }
}
