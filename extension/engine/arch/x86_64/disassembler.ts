// Bytes of x86-64 code as text, in Intel's syntax. What compares code uses instructions.ts.
import { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';

/** Bytes (Intel SDM volume 2, 2.3.11). */
export const LONGEST_INSTRUCTION = 15;

export interface Disassembled {
  address: number;
  /** Bytes. */
  length: number;
  /** Undefined where the bytes are no instruction, or only the beginning of one. */
  text: string | undefined;
}

/** Instructions of `bytes`, which lie at `address`, until `limit` of them or the end. */
export function disassemble(bytes: Uint8Array, address: number, limit = Infinity): Disassembled[] {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = '0x';
  formatter.hexSuffix = '';
  formatter.uppercaseHex = false;
  formatter.branchLeadingZeros = false;
  formatter.spaceAfterOperandSeparator = true;
  try {
    decoder.ip = BigInt(address);
    const found: Disassembled[] = [];
    while (decoder.canDecode && found.length < limit) {
      const instruction = decoder.decode();
      const text = instruction.code === Code.INVALID ? undefined : formatter.format(instruction);
      found.push({ address: Number(instruction.ip), length: instruction.length, text });
      instruction.free();
    }
    return found;
  } finally {
    formatter.free();
    decoder.free();
  }
}
