// Integers of fixed length that JavaScript has no reader for.

/** Little-endian 64-bit value as a number. Exact below 2^53; what is above is never an offset or a size. */
export function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x1_0000_0000;
}

/** The same of a signed value, such as an addend. */
export function signed64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readInt32LE(at + 4) * 0x1_0000_0000;
}
