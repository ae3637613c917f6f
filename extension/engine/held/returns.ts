// Returning from frames of a thread that is held: what the caller finds in its registers, and what result can be given.
import type { Architecture } from '../arch/architecture';
import { COUNTER, STACK_POINTER, type Frame } from '../backtrace';
import type { RequestLine } from '../context';
import type { Registers } from '../dwarf/call_frames';
import { HotPatchError } from '../model/errors';
import type { ReturnKind } from '../model/held';
import type { FunctionCall } from '../types/call_of';

/** The registers with which a caller goes on behind its call, as lines of a request; undefined where one is not known. */
export function callerRegisters({ registers }: Frame, arch: Architecture): RequestLine[] | undefined {
  return registerLines(registers, [...arch.generalRegisters.kept, STACK_POINTER, COUNTER]);
}

export function registerLines(registers: Registers, numbers: readonly number[]): RequestLine[] | undefined {
  const lines = numbers.map((number) => registerLine(registers, number));
  return lines.every((line) => line !== undefined) ? lines : undefined;
}

function registerLine(registers: Registers, number: number): RequestLine | undefined {
  const value = registers[number];
  return value === undefined ? undefined : setRegister(number, value);
}

export function setRegister(number: number, value: bigint): RequestLine {
  return ['register', `${number} 0x${value.toString(16)}`];
}

export function setVector(number: number, value: bigint): RequestLine {
  return ['vector', `${number} 0x${value.toString(16)}`];
}

/** Where a result is, with zeros in all other places of results.
 * @param text as it was typed; zero by default
 * @throws HotPatchError way-not-offered when it is no such value */
export function resultLines(
  { result, resultSize }: Pick<FunctionCall, 'result' | 'resultSize'>,
  text: string | undefined,
  arch: Architecture,
): RequestLine[] {
  const isVector = result === 'float' || result === 'double';
  const bits = text === undefined ? 0n : bitsOf(text.trim(), result, resultSize);
  return [
    ...arch.generalRegisters.results.map((number, index) =>
      setRegister(number, index === 0 && !isVector ? bits : 0n),
    ),
    setVector(0, isVector ? bits : 0n),
    setVector(1, 0n),
  ];
}

function bitsOf(text: string, kind: ReturnKind | undefined, size: number): bigint {
  const refuse = (what: string): HotPatchError =>
    new HotPatchError('way-not-offered', `${JSON.stringify(text)} cannot be returned: ${what}`);
  switch (kind) {
    case undefined:
    case 'none':
      throw refuse('the function returns nothing');
    case 'object':
      throw refuse('the function returns an object, of which only zeros can be given');
    case 'float':
    case 'double': {
      const value = Number(text);
      if (text === '' || Number.isNaN(value)) throw refuse('it is no number');
      const bytes = Buffer.alloc(8);
      if (kind === 'float') bytes.writeFloatLE(value);
      else bytes.writeDoubleLE(value);
      return bytes.readBigUInt64LE();
    }
    case 'boolean':
      if (!/^(true|false|0|1)$/.test(text)) throw refuse('it is neither true nor false');
      return text === 'true' || text === '1' ? 1n : 0n;
    case 'integer':
    case 'pointer': {
      if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(text)) throw refuse('it is no whole number');
      const value = text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text);
      const limit = 1n << BigInt(8 * size);
      if (value >= limit || value < -limit / 2n) throw refuse(`the result has ${8 * size} bits`);
      return BigInt.asUintN(64, value);
    }
  }
}
