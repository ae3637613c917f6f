// Static libraries (`ar`, System V variant as GNU ar writes it): which member defines a symbol, and its bytes. Thin
// archives and those without a symbol index are not read.
import { readFile } from '../host';

const MAGIC = '!<arch>\n';
const HEADER = 60;

export interface ArchiveMember {
  /** Of the member, without a folder; empty where the archive keeps it in its table of long names. */
  name: string;
  bytes: Buffer;
}

export class Archive {
  private readonly bytes: Buffer;
  private readonly index: ReadonlyMap<string, number>;

  /** Throws HotPatchError file-not-found, unreadable-file. */
  constructor(readonly path: string) {
    this.bytes = readFile(path);
    this.index = this.bytes.toString('latin1', 0, MAGIC.length) === MAGIC ? this.readIndex() : new Map();
  }

  /** The member that a linker takes for an undefined symbol: the first that defines it. */
  defining(symbol: string): ArchiveMember | undefined {
    const at = this.index.get(symbol);
    return at === undefined ? undefined : this.memberAt(at);
  }

  /** The first member is named `/`: a count and that many offsets of members, big-endian, then the symbols' names. */
  private readIndex(): Map<string, number> {
    const index = new Map<string, number>();
    const first = this.memberAt(MAGIC.length);
    if (first?.name !== '' || first.bytes.length < 4) return index;
    const count = Math.min(first.bytes.readUInt32BE(0), (first.bytes.length - 4) >>> 2);
    let name = 4 + count * 4;
    for (let i = 0; i < count; i++) {
      const end = first.bytes.indexOf(0, name);
      if (end < 0) break;
      const symbol = first.bytes.toString('latin1', name, end);
      if (!index.has(symbol)) index.set(symbol, first.bytes.readUInt32BE(4 + i * 4));
      name = end + 1;
    }
    return index;
  }

  /** A header has the name in its first 16 bytes, ended by `/`, and the size in decimal at 48. */
  private memberAt(at: number): ArchiveMember | undefined {
    if (at + HEADER > this.bytes.length) return undefined;
    const size = Number(this.bytes.toString('latin1', at + 48, at + 58).trim());
    const start = at + HEADER;
    if (!Number.isInteger(size) || start + size > this.bytes.length) return undefined;
    const name = this.bytes.toString('latin1', at, at + 16).replace(/\/.*$/, '');
    return { name, bytes: this.bytes.subarray(start, start + size) };
  }
}
