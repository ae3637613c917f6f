// Headers of units (7.5.1).
import { number64 } from '../elf/integers';
import type { Abbreviation } from './abbreviations';
import * as dw from './constants';
import type { Extent } from './forms';
import { malformed } from './malformed';
import type { DebugSection } from './sections';

/** Header of a unit (7.5.1). Positions are offsets in `bytes`; addresses of entries are position + `base`. */
export interface UnitHeader extends Extent {
  readonly index: number;
  readonly section: DebugSection;
  /** What makes positions in .debug_types differ from those in .debug_info. */
  readonly base: number;
  readonly firstDie: number;
  readonly type: number;
  readonly abbreviationOffset: number;
  /** Type units: signature, and address of the type's entry. */
  readonly signature?: bigint;
  readonly typeAddress?: number;
  /** Skeleton and split units of DWARF 5. */
  readonly dwoId?: bigint;
  abbreviations?: Abbreviation[];
  stringOffsetsBase?: number;
  addressBase?: number;
}

/**
 * Appends the headers of all units of a section.
 * @param base added to positions in the section to make addresses
 * @param types the section is .debug_types
 * @throws HotPatchError `unsupported-object`
 */
export function readUnitHeaders(
  path: string,
  section: DebugSection,
  base: number,
  types: boolean,
  units: UnitHeader[],
): void {
  const { bytes } = section;
  let at = 0;
  while (at + 11 <= bytes.length) {
    const start = at;
    let length = bytes.readUInt32LE(at);
    let offsetSize: 4 | 8 = 4;
    at += 4;
    if (length === 0xffffffff) {
      length = number64(bytes, at);
      offsetSize = 8;
      at += 8;
    }
    const end = at + length;
    // Linkers pad with zeros between units.
    if (length === 0) continue;
    if (end > bytes.length) throw malformed(path, `has a unit beyond the end of its section`);
    const version = bytes.readUInt16LE(at);
    at += 2;
    const offset = (): number => {
      const value = offsetSize === 8 ? number64(bytes, at) : bytes.readUInt32LE(at);
      at += offsetSize;
      return value;
    };
    let type = types ? dw.DW_UT_type : dw.DW_UT_compile;
    let addressSize: number;
    let abbreviationOffset: number;
    let signature: bigint | undefined;
    let typeAddress: number | undefined;
    let dwoId: bigint | undefined;
    if (version >= 2 && version <= 4) {
      abbreviationOffset = offset();
      addressSize = bytes.readUInt8(at++);
    } else if (version === 5) {
      type = bytes.readUInt8(at++);
      addressSize = bytes.readUInt8(at++);
      abbreviationOffset = offset();
      if (type === dw.DW_UT_skeleton || type === dw.DW_UT_split_compile) {
        dwoId = bytes.readBigUInt64LE(at);
        at += 8;
      }
    } else throw malformed(path, `is of DWARF version ${version}, which is not supported`);
    if (type === dw.DW_UT_type || type === dw.DW_UT_split_type) {
      signature = bytes.readBigUInt64LE(at);
      at += 8;
      typeAddress = base + start + offset();
    }
    units.push({
      index: units.length,
      section,
      bytes,
      base,
      start,
      firstDie: at,
      end,
      version,
      type,
      offsetSize,
      addressSize,
      abbreviationOffset,
      signature,
      typeAddress,
      dwoId,
    });
    at = end;
  }
}
