// What instructions do with registers and words of the stack: moves between them, and what they overwrite. For following
// values through a function. Registers are numbered in the order of their encoding, vector registers behind them.
import {
  type Instruction,
  InstructionInfoFactory,
  MemorySizeExt,
  Mnemonic,
  OpAccess,
  OpKind,
  Register,
  RegisterExt,
  type UsedMemory,
  type UsedRegister,
} from 'iced-x86';
import type { CodePiece } from '../architecture';
import { forEachInstruction, flowOf, type Flow } from './decoder';

export const STACK_POINTER = 4;
export const FRAME_POINTER = 5;
export const FIRST_VECTOR = 16;
/** Bytes of what an instruction writes whose operand has no size of its own (fxsave). */
const LARGEST_STORE = 4096;

export interface Operand {
  register?: number;
  /** Base register, without an index, and displacement. */
  memory?: { base: number; displacement: number } | undefined;
  bytes: number;
}

type Action =
  | { kind: 'push'; from: number | undefined }
  | { kind: 'pop'; to: number | undefined }
  | { kind: 'move'; to: Operand; from: Operand }
  | { kind: 'address'; to: number; base: number | undefined; displacement: number }
  | { kind: 'adjust'; to: number; by: number }
  | { kind: 'leave' }
  | { kind: 'other' };

export interface Step {
  address: number;
  length: number;
  flow: Flow;
  target: number;
  action: Action;
  writes: number[];
  stores: { base: number | undefined; displacement: number; bytes: number }[];
  /** May be interrupted in the middle, with registers changed. */
  isRepeated: boolean;
}

/** The instructions of a piece of code, in its order. */
export function readSteps({ address, bytes }: CodePiece): Step[] {
  const steps: Step[] = [];
  const factory = new InstructionInfoFactory();
  try {
    forEachInstruction(bytes, (instruction, offset) => {
      const info = factory.info(instruction);
      const used = info.usedRegisters() as UsedRegister[];
      const memory = info.usedMemory() as UsedMemory[];
      try {
        steps.push({
          address: address + offset,
          length: instruction.length,
          flow: flowOf(instruction.flowControl),
          target: address + Number(BigInt.asIntN(64, instruction.nearBranchTarget)),
          action: actionOf(instruction),
          writes: used
            .filter(({ access }) => isWrite(access))
            .flatMap(({ register }) => numberOf(register) ?? []),
          stores: memory
            .filter(({ access }) => isWrite(access))
            .map((one) => ({
              base: one.index === Register.None ? numberOf(one.base) : undefined,
              displacement: Number(BigInt.asIntN(64, one.displacement)),
              bytes: MemorySizeExt.size(one.memorySize) || LARGEST_STORE,
            })),
          isRepeated: instruction.hasRepPrefix || instruction.hasRepnePrefix,
        });
      } finally {
        for (const one of [...used, ...memory]) one.free();
        info.free();
      }
    });
  } finally {
    factory.free();
  }
  return steps;
}

function isWrite(access: OpAccess): boolean {
  return access !== OpAccess.Read && access !== OpAccess.CondRead && access !== OpAccess.NoMemAccess;
}

function actionOf(instruction: Instruction): Action {
  const isRegister = (operand: number): boolean => instruction.opKind(operand) === OpKind.Register;
  switch (instruction.mnemonic) {
    case Mnemonic.Push:
      return { kind: 'push', from: isRegister(0) ? numberOf(instruction.opRegister(0)) : undefined };
    case Mnemonic.Pop:
      return { kind: 'pop', to: isRegister(0) ? numberOf(instruction.opRegister(0)) : undefined };
    case Mnemonic.Leave:
      return { kind: 'leave' };
    case Mnemonic.Lea:
      return {
        kind: 'address',
        to: numberOf(instruction.opRegister(0))!,
        base: instruction.memoryIndex === Register.None ? numberOf(instruction.memoryBase) : undefined,
        displacement: Number(BigInt.asIntN(64, instruction.memoryDisplacement)),
      };
    case Mnemonic.Add:
    case Mnemonic.Sub: {
      const isNumber = !isRegister(1) && instruction.opKind(1) !== OpKind.Memory;
      if (!isRegister(0) || !isNumber || RegisterExt.size(instruction.opRegister(0)) !== 8)
        return { kind: 'other' };
      const by = Number(BigInt.asIntN(64, instruction.immediate(1)));
      const to = numberOf(instruction.opRegister(0))!;
      return { kind: 'adjust', to, by: instruction.mnemonic === Mnemonic.Add ? by : -by };
    }
    default:
      return moveOf(instruction) ?? { kind: 'other' };
  }
}

function isVectorMove(mnemonic: Mnemonic): boolean {
  switch (mnemonic) {
    case Mnemonic.Movss:
    case Mnemonic.Movsd:
    case Mnemonic.Movaps:
    case Mnemonic.Movups:
    case Mnemonic.Movapd:
    case Mnemonic.Movupd:
    case Mnemonic.Movq:
    case Mnemonic.Movd:
    case Mnemonic.Vmovss:
    case Mnemonic.Vmovsd:
    case Mnemonic.Vmovaps:
    case Mnemonic.Vmovups:
    case Mnemonic.Vmovapd:
    case Mnemonic.Vmovupd:
    case Mnemonic.Vmovq:
    case Mnemonic.Vmovd:
      return true;
    default:
      return false;
  }
}

function moveOf(instruction: Instruction): Action | undefined {
  if (instruction.mnemonic !== Mnemonic.Mov && !isVectorMove(instruction.mnemonic)) return undefined;
  if (instruction.opCount !== 2 || instruction.isStringInstruction) return undefined;
  const [to, from] = [operandOf(instruction, 0), operandOf(instruction, 1)];
  if (!to || !from) return undefined;
  const bytes = Math.min(
    to.bytes,
    from.bytes,
    instruction.mnemonic === Mnemonic.Mov ? 8 : vectorBytes(instruction),
  );
  return { kind: 'move', to: { ...to, bytes }, from: { ...from, bytes } };
}

/** What a move of a vector register keeps of its low eight bytes. */
function vectorBytes({ mnemonic }: Instruction): number {
  const isSingle = [Mnemonic.Movss, Mnemonic.Vmovss, Mnemonic.Movd, Mnemonic.Vmovd].includes(mnemonic);
  return isSingle ? 4 : 8;
}

function operandOf(instruction: Instruction, operand: number): Operand | undefined {
  switch (instruction.opKind(operand)) {
    case OpKind.Register: {
      const register = instruction.opRegister(operand);
      const number = numberOf(register);
      // ah, bh, ch, dh are the second bytes.
      const isHigh = register >= Register.AH && register <= Register.BH;
      return number === undefined || isHigh
        ? undefined
        : { register: number, bytes: Math.min(8, RegisterExt.size(register)) };
    }
    case OpKind.Memory: {
      const base = instruction.memoryIndex === Register.None ? numberOf(instruction.memoryBase) : undefined;
      const displacement = Number(BigInt.asIntN(64, instruction.memoryDisplacement));
      const isThread = instruction.segmentPrefix !== Register.None;
      return {
        memory: base === undefined || isThread ? undefined : { base, displacement },
        bytes: Math.min(8, MemorySizeExt.size(instruction.memorySize)),
      };
    }
    default:
      return undefined;
  }
}

function numberOf(register: Register): number | undefined {
  const full = RegisterExt.fullRegister(register);
  if (full >= Register.RAX && full <= Register.R15) return full - Register.RAX;
  if (full >= Register.ZMM0 && full <= Register.ZMM15) return FIRST_VECTOR + full - Register.ZMM0;
  return undefined;
}
