// Bytes of x86-64 code as text, for people: the tooltip of a trampoline, the disassembly view. A bundle of its own
// (dist/disassembler.js), to be imported by the first who needs it: its decoder (iced-x86) is a hundred times as large
// as the rest of the extension. What compares code uses instructions.ts.
import { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';

export interface Disassembled {
  address: number;
  /** Bytes. */
  length: number;
  /** Intel syntax; undefined where the bytes are no instruction, or only the beginning of one. */
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
