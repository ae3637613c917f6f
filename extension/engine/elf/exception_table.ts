// Language-specific data areas as gcc and clang write them for C++ (Itanium C++ ABI: Exception Handling, level II;
// encodings: LSB Core, "DWARF Exception Header Encoding"): which calls of a function lead to which landing pad, and what
// is caught there. Reads bytes; knows neither symbols nor processes.
import { sleb, uleb, afterLeb } from './leb128';

const OMIT = 0xff;

export interface CallSite {
  start: number;
  length: number;
  /** From the function's start, or from where the table says; 0: none. */
  landingPad: number;
  /** 1-based place in the table of actions; 0: cleanup only. */
  action: number;
}

export interface ExceptionTable {
  bytes: Buffer;
  /** Landing pads count from an address of their own, not from the function's start. */
  ownStart: boolean;
  typeEncoding: number;
  /** End of the table of types, which is indexed backwards. */
  types: number;
  callSites: CallSite[];
  /** Where the table of actions begins. */
  actions: number;
}

/** @param at where the table begins in the bytes, which may go on behind it
 * @returns undefined when it is malformed or encoded in a way that neither compiler uses */
export function readExceptionTable(bytes: Buffer, at: number): ExceptionTable | undefined {
  try {
    const startEncoding = bytes.readUInt8(at++);
    if (startEncoding !== OMIT) at = afterEncoded(bytes, at, startEncoding);
    const typeEncoding = bytes.readUInt8(at++);
    let types = 0;
    if (typeEncoding !== OMIT) {
      const distance = uleb(bytes, at);
      at = afterLeb(bytes, at);
      types = at + distance;
      sizeOf(typeEncoding);
    }
    const encoding = bytes.readUInt8(at++);
    const length = uleb(bytes, at);
    at = afterLeb(bytes, at);
    const actions = at + length;
    if (actions > bytes.length) return undefined;
    const callSites: CallSite[] = [];
    const next = (): number => {
      const value = encoded(bytes, at, encoding);
      at = afterEncoded(bytes, at, encoding);
      return value;
    };
    while (at < actions) {
      const site: CallSite = { start: next(), length: next(), landingPad: next(), action: uleb(bytes, at) };
      at = afterLeb(bytes, at);
      callSites.push(site);
    }
    return { bytes, ownStart: startEncoding !== OMIT, typeEncoding, types, callSites, actions };
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

/** The chain of an action: what is looked for, in order. Positive: a type to catch; 0: cleanup; negative: a list of
 * types that may pass (dynamic exception specifications). */
export function filters({ bytes, actions }: ExceptionTable, action: number): number[] {
  const found: number[] = [];
  // A chain that does not end is malformed.
  for (let at = actions + action - 1; action !== 0 && found.length < 4096;) {
    found.push(sleb(bytes, at));
    at = afterLeb(bytes, at);
    const step = sleb(bytes, at);
    if (step === 0) break;
    at += step;
  }
  return found;
}

/** The types of a negative filter. */
export function allowedTypes({ bytes, types }: ExceptionTable, filter: number): number[] {
  const found: number[] = [];
  for (let at = types - filter - 1; at < bytes.length; at = afterLeb(bytes, at)) {
    const index = uleb(bytes, at);
    if (index === 0) break;
    found.push(index);
  }
  return found;
}

/** Place and size of an entry in the table of types. */
export function typeEntry(
  { types, typeEncoding }: ExceptionTable,
  index: number,
): { at: number; size: number } {
  const size = sizeOf(typeEncoding);
  return { at: types - index * size, size };
}

function sizeOf(encoding: number): number {
  switch (encoding & 0x07) {
    case 2:
      return 2;
    case 3:
      return 4;
    case 0:
    case 4:
      return 8;
    default:
      throw new RangeError(`pointer encoding ${encoding}`);
  }
}

/** Value of a pointer or length as it stands there, before what it counts from is added.
 * @throws RangeError beyond the end, or when the encoding is unknown */
export function encoded(bytes: Buffer, at: number, encoding: number): number {
  switch (encoding & 0x0f) {
    case 1:
      return uleb(bytes, at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readUInt32LE(at);
    case 0:
    case 4:
    case 0xc:
      return Number(bytes.readBigInt64LE(at));
    case 9:
      return sleb(bytes, at);
    case 0xa:
      return bytes.readInt16LE(at);
    case 0xb:
      return bytes.readInt32LE(at);
    default:
      throw new RangeError(`pointer encoding ${encoding}`);
  }
}

export function afterEncoded(bytes: Buffer, at: number, encoding: number): number {
  return (encoding & 0x07) === 1 ? afterLeb(bytes, at) : at + sizeOf(encoding);
}
