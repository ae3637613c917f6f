// Where x86-64 functions find their arguments and leave their results (psABI, section 3.2.3), erring on the side of memory.
import type { ArgumentRegisters, Calls, PassedValue, RegisterSet } from '../architecture';
import { entryValues } from './entry_values';
import { registers } from './registers';

/** Bytes of the largest value that is passed in registers. */
const LARGEST = 16;

function registersOf(value: PassedValue): ArgumentRegisters | undefined {
  if (value.size > LARGEST) return undefined;
  switch (value.kind) {
    case 'integer':
      return { integer: value.size <= 8 ? 1 : 2, vector: 0 };
    case 'float':
      // Of 16 bytes it may be of class X87, which goes to memory.
      return value.size <= 8 ? { integer: 0, vector: 1 } : undefined;
    case 'complex-float':
      return { integer: 0, vector: 2 };
    case 'class':
      // Of other fields it may be of class MEMORY however small it is.
      return value.isAligned() ? { integer: 2, vector: 2 } : undefined;
  }
}

const RAX = 1 << 0;
const XMM0 = 1 << 16;

function resultRegisters({ kind, size }: PassedValue): RegisterSet {
  if (size > 8 || kind === 'class') return registers.results;
  return kind === 'integer' ? RAX : XMM0;
}

export const calls: Calls = {
  // rdi rsi rdx rcx r8 r9; xmm0–xmm7
  argumentRegisters: { integer: 6, vector: 8 },
  registersOf,
  resultRegisters,
  resultAddress: { integer: 1, vector: 0 },
  entryValues,
  returnAddressSize: 8,
  // rbx rbp r12–r15; rax rdx; rdi rsi rdx rcx r8 r9 (psABI, figure 3.36)
  generalRegisters: { kept: [3, 6, 12, 13, 14, 15], results: [0, 1], arguments: [5, 4, 1, 2, 8, 9] },
};
