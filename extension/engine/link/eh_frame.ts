// Call frame information of code that is in no object, in the form of .eh_frame (LSB Core, "Exception Frames"; DWARF 5,
// section 6.4.1). Bytes only; the writer of the patch places them.
import type { InitialFrame } from '../arch/architecture';

const DW_EH_PE_pcrel_sdata4 = 0x1b;

/** The CIE of functions that begin as the architecture has it. */
export function plainCie(frame: InitialFrame): Buffer {
  const id = [0, 0, 0, 0];
  const version = 1;
  const alignments = [frame.codeAlignment, frame.dataAlignment & 0x7f];
  const augmentation = [1, DW_EH_PE_pcrel_sdata4]; // of length 1
  return frameEntry([
    ...id,
    version,
    ...Buffer.from('zR\0'),
    ...alignments,
    frame.returnAddressColumn,
    ...augmentation,
    ...frame.instructions,
  ]);
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
