// Which registers machine code writes, and which of them are live behind its calls: what is needed to know whether a
// caller counts on a callee leaving caller-saved registers alone (gcc -fipa-ra; psABI, "Register Usage"). Sets are
// bit masks: bits 0–15 the general registers in encoding order, bits 16–31 xmm0–xmm15.
import {
  Decoder,
  DecoderOptions,
  FlowControl,
  Instruction,
  InstructionInfoFactory,
  OpAccess,
  Register,
  RegisterExt,
  type UsedRegister,
} from 'iced-x86';

/** rax rcx rdx rsi rdi r8–r11 and all vector registers (psABI, figure 3.4). */
export const CALLER_SAVED = 0xffff_0fc7 | 0;

/** Arguments are passed in rdi rsi rdx rcx r8 r9 and xmm0–xmm7. */
const ARGUMENTS = 0x00ff_03c6;
/** Results are returned in rax rdx xmm0 xmm1. */
export const RESULTS = 0x0003_0005;

export interface RegisterEffects {
  offset: number;
  length: number;
  reads: number;
  writes: number;
  flow: 'next' | 'branch' | 'jump' | 'call' | 'indirect-jump' | 'indirect-call' | 'return';
  /** Offset of a direct branch's target from the start of the piece. */
  target: number;
}

/** Reads and writes of every instruction of a function. */
export function registerEffects(code: Uint8Array): RegisterEffects[] {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const factory = new InstructionInfoFactory();
  const instruction = new Instruction();
  const effects: RegisterEffects[] = [];
  let offset = 0;
  while (decoder.canDecode) {
    decoder.decodeOut(instruction);
    const info = factory.info(instruction);
    let reads = 0;
    let writes = 0;
    for (const used of info.usedRegisters() as UsedRegister[]) {
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
      used.free();
    }
    info.free();
    effects.push({
      offset,
      length: instruction.length,
      reads,
      writes,
      flow: flowOf(instruction.flowControl),
      target: Number(BigInt.asIntN(64, instruction.nearBranchTarget)),
    });
    offset += instruction.length;
  }
  instruction.free();
  factory.free();
  decoder.free();
  return effects;
}

/** Vector registers that code uses beyond their lower 128 bits. */
export function wideVectors(code: Uint8Array): number {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const factory = new InstructionInfoFactory();
  const instruction = new Instruction();
  let wide = 0;
  while (decoder.canDecode) {
    decoder.decodeOut(instruction);
    const info = factory.info(instruction);
    for (const used of info.usedRegisters() as UsedRegister[]) {
      // A VEX-encoded write of 128 bits clears the rest, and iced names that the write of a ymm or zmm register.
      const reads = used.access === OpAccess.Read || used.access === OpAccess.CondRead;
      if (used.register >= Register.YMM0 && reads) wide |= bitOf(used.register);
      used.free();
    }
    info.free();
  }
  instruction.free();
  factory.free();
  decoder.free();
  return wide;
}

/**
 * Registers that are live right behind each call: read on some path before they are written. By offset of the call.
 * Errs on the side of live: a call may read every argument register, a return every result register, and an indirect
 * jump may go to any instruction that a branch leads to or that follows a jump.
 * @param clobbered what a call certainly overwrites
 */
export function liveBehindCalls(
  effects: readonly RegisterEffects[],
  clobbered: (call: RegisterEffects) => number,
): Map<number, number> {
  const index = new Map(effects.map((effect, i) => [effect.offset, i]));
  const leaders = new Set<number>();
  effects.forEach(({ flow, target }, i) => {
    if (flow === 'branch' || flow === 'jump') {
      const to = index.get(target);
      if (to !== undefined) leaders.add(to);
    }
    if (flow === 'jump' || flow === 'indirect-jump' || flow === 'return') leaders.add(i + 1);
  });
  const liveIn = new Int32Array(effects.length + 1);
  const liveOut = (i: number): number => {
    const { flow, target } = effects[i]!;
    const to = index.get(target);
    switch (flow) {
      case 'return':
        return RESULTS;
      case 'jump':
        // Leaving the function by a jump is a call in tail position.
        return to === undefined ? ARGUMENTS : liveIn[to]!;
      case 'branch':
        return (to === undefined ? ARGUMENTS : liveIn[to]!) | liveIn[i + 1]!;
      case 'indirect-jump':
        return [...leaders].reduce((union, leader) => union | liveIn[leader]!, 0);
      default:
        return liveIn[i + 1]!;
    }
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = effects.length - 1; i >= 0; i--) {
      const effect = effects[i]!;
      const calls = effect.flow === 'call' || effect.flow === 'indirect-call';
      const writes = effect.writes | (calls ? clobbered(effect) : 0);
      const live = effect.reads | (calls ? ARGUMENTS : 0) | (liveOut(i) & ~writes);
      if (live !== liveIn[i]) {
        liveIn[i] = live;
        changed = true;
      }
    }
  }
  const behind = new Map<number, number>();
  effects.forEach(({ flow, offset }, i) => {
    if (flow === 'call' || flow === 'indirect-call') behind.set(offset, liveIn[i + 1]!);
  });
  return behind;
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
