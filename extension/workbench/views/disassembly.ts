// Bytes of x86-64 code as instructions, for the tooltip of a trampoline. The decoder (iced-x86, wasm) is loaded by
// the first tooltip, not at activation.

/**
 * @param bytes lower-case hexadecimal
 * @param address of the first byte, `0x…`
 * @returns one instruction a line, with its address; `…` for a last one of which the bytes are only the beginning.
 */
export async function disassemble(bytes: string, address: string): Promise<string> {
  const { Code, Decoder, DecoderOptions, Formatter, FormatterSyntax } = await import('iced-x86');
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
