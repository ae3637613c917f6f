// Bytes of x86-64 code as instructions, for the tooltip of a trampoline. A bundle of its own (dist/disassembly.js),
// loaded by the first tooltip: the decoder (iced-x86) is a hundred times as large as the rest of the extension.
import { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';

/**
 * @param bytes lower-case hexadecimal
 * @param address of the first byte, `0x…`
 * @returns one instruction a line, with its address; `…` for a last one of which the bytes are only the beginning.
 */
export function disassemble(bytes: string, address: string): string {
  const decoder = new Decoder(64, Buffer.from(bytes, 'hex'), DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = '0x';
  formatter.hexSuffix = '';
  formatter.uppercaseHex = false;
  formatter.branchLeadingZeros = false;
  formatter.spaceAfterOperandSeparator = true;
  try {
    decoder.ip = BigInt(address);
    const lines: string[] = [];
    while (decoder.canDecode) {
      const instruction = decoder.decode();
      const text = instruction.code === Code.INVALID ? '…' : formatter.format(instruction);
      lines.push(`0x${instruction.ip.toString(16)}  ${text}`);
      instruction.free();
    }
    return lines.join('\n');
  } finally {
    formatter.free();
    decoder.free();
  }
}
