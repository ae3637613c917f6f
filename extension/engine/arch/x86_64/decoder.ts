// The decoder that all of x86-64 is read with. iced's objects live in WebAssembly memory, which nothing collects: each is
// made and freed here.
import {
  Decoder,
  DecoderOptions,
  FlowControl,
  Instruction,
  type InstructionInfo,
  InstructionInfoFactory,
  type UsedRegister,
} from 'iced-x86';
import { hasPrologueData, PROLOGUE_DATA_SIZE } from './prologue_data';

/** @param read may use both until it returns */
export function withDecoder<T>(code: Uint8Array, read: (decoder: Decoder, instruction: Instruction) => T): T {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  const instruction = new Instruction();
  try {
    return read(decoder, instruction);
  } finally {
    instruction.free();
    decoder.free();
  }
}

/** Calls back with every instruction of the code, and its offset. Prologue data is passed over, but for the jump that it
 * begins with. */
export function forEachInstruction(
  code: Uint8Array,
  visit: (instruction: Instruction, offset: number) => void,
): void {
  withDecoder(code, (decoder, instruction) => {
    while (decoder.canDecode) {
      const offset = decoder.position;
      decoder.decodeOut(instruction);
      visit(instruction, offset);
      if (offset === 0 && hasPrologueData(code)) decoder.position = PROLOGUE_DATA_SIZE;
    }
  });
}

/** The same with the registers that each instruction uses. */
export function forEachRegisterUse(
  code: Uint8Array,
  visit: (instruction: Instruction, offset: number, registers: readonly UsedRegister[]) => void,
): void {
  const factory = new InstructionInfoFactory();
  try {
    forEachInstruction(code, (instruction, offset) => {
      const info: InstructionInfo = factory.info(instruction);
      const used = info.usedRegisters() as UsedRegister[];
      try {
        visit(instruction, offset, used);
      } finally {
        for (const register of used) register.free();
        info.free();
      }
    });
  } finally {
    factory.free();
  }
}

/** Where code goes on behind an instruction. */
export type Flow = 'next' | 'branch' | 'jump' | 'indirect-jump' | 'call' | 'end';

export function flowOf(flow: FlowControl): Flow {
  switch (flow) {
    case FlowControl.ConditionalBranch:
      return 'branch';
    case FlowControl.UnconditionalBranch:
      return 'jump';
    case FlowControl.IndirectBranch:
      return 'indirect-jump';
    case FlowControl.Call:
    case FlowControl.IndirectCall:
      return 'call';
    case FlowControl.Return:
    case FlowControl.Exception:
      return 'end';
    default:
      return 'next';
  }
}
