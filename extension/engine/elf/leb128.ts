// Integers of variable length (DWARF 5, section 7.6), as debug information and exception tables use them. Bytes beyond the
// end read as zero.

/** Unsigned LEB128 (7.6). */
export function uleb(bytes: Buffer, at: number): number {
  let byte = bytes[at++] ?? 0;
  if (byte < 0x80) return byte;
  let value = byte & 0x7f;
  let factor = 128;
  do {
    byte = bytes[at++] ?? 0;
    value += (byte & 0x7f) * factor;
    factor *= 128;
  } while (byte >= 0x80);
  return value;
}

/** Signed LEB128 (7.6). */
export function sleb(bytes: Buffer, at: number): number {
  let value = 0;
  let factor = 1;
  let byte: number;
  do {
    byte = bytes[at++] ?? 0;
    value += (byte & 0x7f) * factor;
    factor *= 128;
  } while (byte >= 0x80);
  return byte & 0x40 ? value - factor : value;
}

/** Position behind a LEB128 value. */
export function afterLeb(bytes: Buffer, at: number): number {
  while ((bytes[at++] ?? 0) >= 0x80);
  return at;
}
