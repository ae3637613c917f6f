// Where x86-64 functions find their arguments and leave their results (psABI, section 3.2.3), erring on the side of memory.
import type { ArgumentRegisters, Calls, Field, PassedValue, RegisterSet } from '../architecture';
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

/** By the class of each eightbyte (psABI, 3.2.3, "Classification"): INTEGER where a whole number or pointer has part in it,
 * SSE where only floating-point numbers have, NO_CLASS where there is only padding. */
function passingOf(fields: readonly Field[], size: number): string {
  const isUnaligned = fields.some((field) => field.offset % Math.min(field.size, LARGEST) !== 0);
  if (size > LARGEST || isUnaligned) return 'memory';
  const classes = ['none', 'none'];
  for (const { offset, size: length, isFloat } of fields)
    for (let word = Math.floor(offset / 8); word * 8 < offset + length && word < classes.length; word++)
      classes[word] = isFloat && classes[word] !== 'integer' ? (length > 8 ? 'x87' : 'sse') : 'integer';
  return classes.join(' ');
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
  passingOf,
  resultRegisters,
  resultAddress: { integer: 1, vector: 0 },
  entryValues,
  returnAddressSize: 8,
  // rbx rbp r12–r15; rax rdx; rdi rsi rdx rcx r8 r9 (psABI, figure 3.36)
  generalRegisters: { kept: [3, 6, 12, 13, 14, 15], results: [0, 1], arguments: [5, 4, 1, 2, 8, 9] },
};
