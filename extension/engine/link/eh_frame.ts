// Call frame information of code that is in no object, in the form of .eh_frame (LSB Core, "Exception Frames"; DWARF 5,
// section 6.4.1). Bytes only; the writer of the patch places them.

const DW_EH_PE_pcrel_sdata4 = 0x1b;

/** The CIE of functions that begin with the CFA at rsp + 8 and the return address below it (psABI, 3.7). */
export function plainCie(): Buffer {
  const instructions = [0x0c, 7, 8, 0x80 | 16, 1]; // DW_CFA_def_cfa rsp, 8; DW_CFA_offset RA, 1 × −8
  const body = [
    0,
    0,
    0,
    0,
    1,
    ...Buffer.from('zR\0'),
    1,
    0x78,
    16,
    1,
    DW_EH_PE_pcrel_sdata4,
    ...instructions,
  ];
  return frameEntry(body);
}

/** An FDE under plainCie.
 * @param distance from the field behind the length back to the CIE
 * @param length of the code; where it begins is left to be filled in at offset 8, relative to the field
 * @param instructions call frame instructions */
export function plainFde(distance: number, length: number, instructions: Buffer): Buffer {
  const fields = Buffer.alloc(12);
  fields.writeUInt32LE(distance, 0);
  fields.writeUInt32LE(length, 8);
  return frameEntry([...fields, 0, ...instructions]);
}

/** With its length before it, padded with DW_CFA_nop. */
function frameEntry(body: readonly number[]): Buffer {
  const entry = Buffer.alloc(Math.ceil((4 + body.length) / 8) * 8);
  entry.writeUInt32LE(entry.length - 4, 0);
  Buffer.from(body).copy(entry, 4);
  return entry;
}
