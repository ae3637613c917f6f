// x86-64 as the engine sees it.
import type { Architecture } from '../architecture';
import { EM_X86_64 } from './abi';
import { addressLimits, threads } from './addresses';
import { calls } from './calls';
import { entries } from './entries';
import { instructions } from './instructions';
import { initialFrame, registerKeeper } from './register_keeper';
import { registerEffects, registers, wideVectors } from './registers';
import { relocations } from './relocations';
import { mayReadStackArguments, stackAlignments, withFrameSizesOf } from './stack_alignment';
import { stubs } from './stubs';

export const x86_64: Architecture = {
  machine: EM_X86_64,
  ...relocations,
  ...instructions,
  ...entries,
  ...stubs,
  registers,
  registerEffects,
  wideVectors,
  registerKeeper,
  initialFrame,
  stackAlignments,
  withFrameSizesOf,
  mayReadStackArguments,
  ...calls,
  ...threads,
  ...addressLimits,
};
