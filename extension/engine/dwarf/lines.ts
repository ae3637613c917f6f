// Reads line number information (DWARF 4 and 5, section 6.2): a unit's table of source files, and, where it is
// asked for, the last line of each function. Paths come out as the compiler wrote them, joined with the
// compilation directory; they are not looked up on disk here.
import { isAbsolute, normalize, resolve } from 'node:path';
import * as dw from './constants';
import { malformed } from './malformed';
import { afterLeb, sleb, uleb } from '../elf/leb128';
import { number64 } from '../elf/integers';
import type { Dwarf } from './dwarf';

/** Prologue of one line table: enough to name files and to run its program. */
export interface LineTable {
  /** Paths by the number that DW_AT_decl_file uses; index 0 is undefined before DWARF 5. */
  files: (string | undefined)[];
  minimumLength: number;
  lineBase: number;
  lineRange: number;
  opcodeBase: number;
  opcodeLengths: number[];
  programStart: number;
  programEnd: number;
  addressSize: number;
}

/** A path of the debug information with the directory it is relative to; normalised, absolute where one of them is. */
export function joinPath(directory: string, name: string): string {
  if (isAbsolute(name)) return normalize(name);
  return isAbsolute(directory) ? resolve(directory, name) : normalize(`${directory || '.'}/${name}`);
}

/**
 * Reads the prologue of the line table at an offset of .debug_line (6.2.4).
 * @param compDir DW_AT_comp_dir of the unit: directory 0 before DWARF 5.
 * @param wanted When given, only files of which this holds (by their name as written) are joined and returned;
 *   searching thousands of units for one header is then mostly comparing.
 * @throws HotPatchError `unsupported-object` when the header is longer than the section.
 * @returns undefined when there is no table at that offset or its version is not known.
 */
export function readLineTable(
  dwarf: Dwarf,
  offset: number,
  compDir: string,
  wanted?: (name: string) => boolean,
): LineTable | undefined {
  const bytes = dwarf.sections.bytes('.debug_line');
  if (offset + 15 > bytes.length) return undefined;
  let at = offset;
  let offsetSize: 4 | 8 = 4;
  let length = bytes.readUInt32LE(at);
  at += 4;
  if (length === 0xffffffff) {
    length = number64(bytes, at);
    offsetSize = 8;
    at += 8;
  }
  const programEnd = Math.min(at + length, bytes.length);
  const version = bytes.readUInt16LE(at);
  at += 2;
  if (version < 2 || version > 5) return undefined;
  let addressSize = 8;
  if (version >= 5) {
    addressSize = bytes.readUInt8(at);
    at += 2;
  }
  const headerLength = offsetSize === 8 ? number64(bytes, at) : bytes.readUInt32LE(at);
  at += offsetSize;
  const programStart = at + headerLength;
  // Names would be read for ever behind the end, where every byte is missing and none is the zero that ends the table.
  if (programStart > bytes.length) throw malformed(dwarf.path, 'has a line table longer than its section');
  const minimumLength = bytes.readUInt8(at++);
  if (version >= 4) at++;
  at++;
  const lineBase = bytes.readInt8(at++);
  const lineRange = bytes.readUInt8(at++);
  const opcodeBase = bytes.readUInt8(at++);
  const opcodeLengths = [0];
  for (let i = 1; i < opcodeBase; i++) opcodeLengths.push(bytes.readUInt8(at++));

  const text = (): string => {
    const end = textEnd(bytes, at);
    const value = bytes.toString('utf8', at, end);
    at = end + 1;
    return value;
  };
  const number = (): number => {
    const value = uleb(bytes, at);
    at = afterLeb(bytes, at);
    return value;
  };
  const directories: string[] = [];
  const files: (string | undefined)[] = [];
  const add = (name: string, directory: number): void => {
    if (wanted && !wanted(name)) files.push(undefined);
    else files.push(joinPath(joinPath(compDir, directories[directory] ?? ''), name));
  };

  if (version < 5) {
    directories.push(compDir);
    while (at < programStart && bytes[at] !== 0) directories.push(text());
    at++;
    files.push(undefined);
    while (at < programStart && bytes[at] !== 0) {
      const name = text();
      const directory = number();
      number();
      number();
      add(name, directory);
    }
  } else {
    const entries = (): { path: string; directory: number }[] => {
      const formats = Array.from({ length: bytes.readUInt8(at++) }, () => ({
        type: number(),
        form: number(),
      }));
      // An entry takes a byte at least; a count beyond that is malformed, and would exhaust memory.
      const named = number();
      const count = formats.length === 0 ? 0 : Math.min(named, bytes.length - at);
      return Array.from({ length: count }, () => {
        const entry = { path: '', directory: 0 };
        for (const { type, form } of formats) {
          const value = formValue(dwarf, bytes, at, form, offsetSize);
          at = value.next;
          if (type === dw.DW_LNCT_path) entry.path = value.text;
          else if (type === dw.DW_LNCT_directory_index) entry.directory = value.number;
        }
        return entry;
      });
    };
    for (const { path } of entries()) directories.push(path);
    for (const { path, directory } of entries()) add(path, directory);
  }
  return {
    files,
    minimumLength,
    lineBase,
    lineRange,
    opcodeBase,
    opcodeLengths,
    programStart,
    programEnd,
    addressSize,
  };
}

/** Where a string ends: at its NUL, or, of malformed information, with the section. */
function textEnd(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(0, at);
  return end < 0 ? bytes.length : end;
}

/** One field of an entry format (6.2.4.1); forms that the standard does not allow there end the table. */
function formValue(
  dwarf: Dwarf,
  bytes: Buffer,
  at: number,
  form: number,
  offsetSize: 4 | 8,
): { text: string; number: number; next: number } {
  switch (form) {
    case dw.DW_FORM_string: {
      const end = textEnd(bytes, at);
      return { text: bytes.toString('utf8', at, end), number: 0, next: end + 1 };
    }
    case dw.DW_FORM_line_strp:
    case dw.DW_FORM_strp: {
      const offset = offsetSize === 8 ? number64(bytes, at) : bytes.readUInt32LE(at);
      return { text: dwarf.stringAt(form, offset), number: 0, next: at + offsetSize };
    }
    case dw.DW_FORM_udata:
      return { text: '', number: uleb(bytes, at), next: afterLeb(bytes, at) };
    case dw.DW_FORM_data1:
      return { text: '', number: bytes.readUInt8(at), next: at + 1 };
    case dw.DW_FORM_data2:
      return { text: '', number: bytes.readUInt16LE(at), next: at + 2 };
    case dw.DW_FORM_data4:
      return { text: '', number: bytes.readUInt32LE(at), next: at + 4 };
    case dw.DW_FORM_data8:
      return { text: '', number: number64(bytes, at), next: at + 8 };
    case dw.DW_FORM_data16:
      return { text: '', number: 0, next: at + 16 };
    case dw.DW_FORM_block: {
      const length = uleb(bytes, at);
      return { text: '', number: 0, next: afterLeb(bytes, at) + length };
    }
    default:
      return { text: '', number: 0, next: bytes.length };
  }
}

/** A row of the line table: this file and line are the source of the code from `address` on. */
export interface LineRow {
  /** Offset in `section` of a relocatable file, otherwise a virtual address. */
  address: number;
  section: number | undefined;
  file: number;
  line: number;
}

/** Runs a line number program (6.2.5) and returns its rows in the order they are emitted; the end of a sequence
 * has line 0. */
export function readLineRows(dwarf: Dwarf, table: LineTable): LineRow[] {
  const section = dwarf.sections.get('.debug_line');
  if (!section) return [];
  const { bytes } = section;
  const rows: LineRow[] = [];
  let address = 0;
  let target: number | undefined;
  let file = 1;
  let line = 1;
  let at = table.programStart;
  const constAdvance = Math.floor((255 - table.opcodeBase) / table.lineRange) * table.minimumLength;
  while (at < table.programEnd) {
    const opcode = bytes.readUInt8(at++);
    if (opcode >= table.opcodeBase) {
      const adjusted = opcode - table.opcodeBase;
      address += Math.floor(adjusted / table.lineRange) * table.minimumLength;
      line += table.lineBase + (adjusted % table.lineRange);
      rows.push({ address, section: target, file, line });
    } else if (opcode === 0) {
      const length = uleb(bytes, at);
      at = afterLeb(bytes, at);
      const kind = bytes[at];
      if (kind === dw.DW_LNE_end_sequence) {
        rows.push({ address, section: target, file, line: 0 });
        address = 0;
        target = undefined;
        file = 1;
        line = 1;
      } else if (kind === dw.DW_LNE_set_address) {
        address = number64(bytes, at + 1);
        target = section.sectionOf(at + 1);
      }
      at += length;
    } else if (opcode === dw.DW_LNS_copy) rows.push({ address, section: target, file, line });
    else if (opcode === dw.DW_LNS_const_add_pc) address += constAdvance;
    else if (opcode === dw.DW_LNS_fixed_advance_pc) {
      address += bytes.readUInt16LE(at);
      at += 2;
    } else if (opcode === dw.DW_LNS_advance_line) {
      line += sleb(bytes, at);
      at = afterLeb(bytes, at);
    } else {
      const operands = table.opcodeLengths[opcode] ?? 0;
      for (let i = 0; i < operands; i++) {
        const value = uleb(bytes, at);
        at = afterLeb(bytes, at);
        if (opcode === dw.DW_LNS_advance_pc) address += value * table.minimumLength;
        else if (opcode === dw.DW_LNS_set_file) file = value;
      }
    }
  }
  return rows;
}
