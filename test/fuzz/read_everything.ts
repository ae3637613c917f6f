// Asks the readers for all that the engine asks them for, of one file. What they throw must be an error with a code.
import { codeLines, functionLines, variableLines } from '../../extension/engine/dwarf/functions';
import { findDefinitions } from '../../extension/engine/dwarf/definitions';
import { fileTable, headerOf, readUnits, unitsIncluding, unitsOf } from '../../extension/engine/dwarf/units';
import { Dwarf } from '../../extension/engine/dwarf/dwarf';
import { parseProducer } from '../../extension/engine/dwarf/producer';
import * as abi from '../../extension/engine/elf/constants';
import { ElfFile } from '../../extension/engine/elf/file';
import { ObjectFile } from '../../extension/engine/elf/object';
import { exportOf, readExports, readImports } from '../../extension/engine/elf/symbol_versions';
import { exceptionTables, readUnwind } from '../../extension/engine/elf/unwind';
import { filters, readExceptionTable } from '../../extension/engine/elf/exception_table';
import { HotPatchError } from '../../extension/engine/model/errors';
import { readFixes } from '../../extension/engine/patch_format/note';

/** @returns what went wrong in a reader, with its name; undefined when nothing did */
export function readEverything(bytes: Buffer): string | undefined {
  let elf: ElfFile;
  try {
    elf = ElfFile.parse('input', bytes);
  } catch (error) {
    return finding('ElfFile', error);
  }
  const readers: Record<string, () => void> = {
    buildId: () => elf.buildId(),
    data: () => elf.sections.forEach((section) => elf.data(section)),
    symbols: () => elf.symbols(),
    dynamicSymbols: () => elf.symbols(abi.SHT_DYNSYM),
    relocations: () =>
      elf.sections.forEach((section) => section.type === abi.SHT_RELA && elf.relocations(section)),
    loaded: () => elf.segments.forEach(({ address }) => elf.loaded(address, 64)),
    imports: () => readImports(elf),
    exports: () => readExports(elf),
    oneExport: () => exportOf(elf, 'value'),
    exceptionTables: () => exceptionTables(elf),
    languageData: () => {
      const section = elf.section('.gcc_except_table');
      const table = section && readExceptionTable(elf.data(section), 0);
      table?.callSites.slice(0, 50).forEach(({ action }) => filters(table, action));
    },
    unwind: () => elf.type === abi.ET_REL && readUnwind(new ObjectFile(elf, '/unit.cc')),
    fixes: () => readFixes(elf),
    units: () => readUnits(elf).forEach(({ producer }) => parseProducer(producer)),
    unitsOf: () => unitsOf(elf, '/nowhere/seed.cc'),
    unitsIncluding: () => unitsIncluding(elf, '/nowhere/seed.h'),
    files: () =>
      readUnits(elf).forEach((unit) => fileTable(Dwarf.of(elf), headerOf(elf, unit), unit.compDir)),
    functions: () => readUnits(elf).forEach((unit) => functionLines(elf, unit)),
    variables: () => readUnits(elf).forEach((unit) => variableLines(elf, unit)),
    code: () => readUnits(elf).forEach((unit) => codeLines(elf, unit)(1, 0, 4096)),
    definitions: () => findDefinitions(elf, readUnits(elf), ['Shape', 'ns::Point']),
  };
  for (const [name, read] of Object.entries(readers)) {
    try {
      read();
    } catch (error) {
      const found = finding(name, error);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function finding(reader: string, error: unknown): string | undefined {
  if (error instanceof HotPatchError && error.code !== 'internal') return undefined;
  return `${reader}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
