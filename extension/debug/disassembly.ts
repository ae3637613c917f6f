// Machine code around an address as DAP's `disassemble` wants it: exactly so many instructions, before the address
// too, which instructions of different lengths do not make easy. Memory is passed in.
import type { DebugProtocol } from '@vscode/debugprotocol';
import {
  disassemble as decode,
  type Disassembled,
  LONGEST_INSTRUCTION as longest,
} from '../engine/arch/disassembler';

const PAGE = 0x1000;

/** Bytes at an address; fewer where memory ends. */
export type ReadMemory = (address: number, length: number) => Promise<Buffer>;

/** Reads as much as is mapped, page by page. Throws only what `read` throws for reasons other than mapping. */
export async function readMapped(read: ReadMemory, address: number, length: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at = address; at < address + length;) {
    const end = Math.min(address + length, at - (at % PAGE) + PAGE);
    try {
      parts.push(await read(at, end - at));
    } catch {
      break; // what lies before it is still worth showing
    }
    at = end;
  }
  return Buffer.concat(parts);
}

/** Instructions that lie before an address: decoded from far enough before it, from where an instruction ends there. */
async function before(read: ReadMemory, address: number, count: number): Promise<Disassembled[]> {
  const distance = Math.min(address, count * longest);
  for (let back = distance; back > Math.max(0, distance - longest); back--) {
    const bytes = await read(address - back, back);
    if (bytes.length < back) continue;
    const found = decode(bytes, address - back);
    const last = found.at(-1);
    if (last && last.address + last.length === address && last.text !== undefined) return found.slice(-count);
  }
  return [];
}

/**
 * @param address where instruction 0 is
 * @param offset of the first wanted instruction, in instructions; may be negative
 * @param symbolAt name of a function that begins at an address
 */
export async function disassemble(
  read: ReadMemory,
  address: number,
  offset: number,
  count: number,
  symbolAt: (address: number) => string | undefined,
): Promise<DebugProtocol.DisassembledInstruction[]> {
  const earlier = offset < 0 ? await before(read, address, -offset) : [];
  const last = offset + count;
  const length = Math.max(0, last) * longest;
  const bytes = length > 0 ? await read(address, length) : Buffer.alloc(0);
  const later = decode(bytes, address, Math.max(0, last));
  const wanted: DebugProtocol.DisassembledInstruction[] = [];
  for (let index = offset; index < last; index++) {
    const found = index < 0 ? earlier.at(index) : later[index];
    wanted.push(found ? await shown(found, read, symbolAt) : invalid(address + index, index));
  }
  return wanted;
}

async function shown(
  { address, length, text = '(bad)' }: Disassembled,
  read: ReadMemory,
  symbolAt: (address: number) => string | undefined,
): Promise<DebugProtocol.DisassembledInstruction> {
  const symbol = symbolAt(address);
  const bytes = await read(address, length);
  return {
    address: `0x${address.toString(16)}`,
    instructionBytes: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    instruction: text,
    ...(symbol !== undefined && { symbol }),
  };
}

/** The client wants as many as it asked for; where there is no memory it is told so. */
function invalid(address: number, index: number): DebugProtocol.DisassembledInstruction {
  const somewhere = Math.max(0, address + index);
  return { address: `0x${somewhere.toString(16)}`, instruction: '??', presentationHint: 'invalid' };
}
