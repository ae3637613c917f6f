// The steps `find-command`, `compile` and `read`: from the units that a save concerns to their objects, made by the
// build's own commands. Looks at no process.
import { dirname, isAbsolute } from 'node:path';
import { CompileError } from '../compile/run_compiler';
import type { CompileContext, CompiledUnit, CompileEntry, LiveModule, LiveTarget } from '../context';
import { closureShapes } from '../dwarf/closures';
import { definedVariables, type FunctionStatic, functionStatics } from '../dwarf/function_statics';
import { codeLines, functionLines, type FunctionPlace, variableLines } from '../dwarf/functions';
import { parseProducer } from '../dwarf/producer';
import { readUnits, unitsOf } from '../dwarf/units';
import { ElfFile } from '../elf/file';
import { ObjectFile, type ObjectFunction } from '../elf/object';
import { LARGEST_TEXT, readFile } from '../host';
import type { Save } from './progress';
import type { FreshUnit } from './unit';

/** Objects of all units that a save concerns, by source. Several commands for one source are tried in their order
 * when the comparison needs another one.
 * @param compileOne how each unit is compiled
 * @param refuses is told of each that was; none but those is returned when it refuses the save
 * @param meanwhile is called when the compilers have been started */
export async function compileUnits(
  save: Save,
  targets: readonly LiveTarget[],
  compileOne: CompileContext['compileUnit'] = (entry, request) =>
    save.context.compile.compileUnit(entry, request),
  refuses?: (compiled: CompiledUnit) => Promise<boolean>,
  meanwhile: () => void = () => undefined,
): Promise<Map<string, FreshUnit>> {
  const builtIn = new Map<string, Set<string>>();
  for (const { modules } of targets)
    for (const { module, units } of modules)
      for (const { source } of units) {
        const directories = builtIn.get(source) ?? new Set();
        for (const directory of buildDirectoriesOf(module, source)) directories.add(directory);
        builtIn.set(source, directories);
      }
  const entries = await save.step('find-command', () =>
    Promise.resolve(
      [...builtIn].map(
        ([source, directories]) => save.context.compile.entriesFor(source, [...directories])[0]!,
      ),
    ),
  );
  const compiled = await save.step('compile', () => {
    const compiling = compileAll(save, entries, compileOne, refuses);
    setImmediate(meanwhile);
    return compiling;
  });
  return save.step('read', () =>
    Promise.resolve(new Map(compiled.map((unit) => [unit.source, readUnit(unit)] as const))),
  );
}

/** Where the running code was compiled (DW_AT_comp_dir), and where the module lies: the build may be anywhere. */
export function buildDirectoriesOf(module: LiveModule, source: string): string[] {
  const units = unitsOf(module.elf, source).map(({ unit }) => unit.compDir);
  return [...new Set([...units, dirname(module.path)])].filter((directory) => isAbsolute(directory));
}

/** All of them, so that every unit's messages are shown; fails with the first failure. */
async function compileAll(
  save: Save,
  entries: readonly CompileEntry[],
  compileOne: CompileContext['compileUnit'],
  refuses?: (compiled: CompiledUnit) => Promise<boolean>,
): Promise<CompiledUnit[]> {
  const { signal, firstLight: listFiles } = save.request;
  const refused = new AbortController();
  const either = AbortSignal.any([refused.signal, ...(signal ? [signal] : [])]);
  const results = await Promise.allSettled(
    entries.map(async (entry) => {
      save.progress('compile', entry.source);
      const compiled = await compileOne(entry, { signal: either, listFiles });
      if (await refuses?.(compiled)) refused.abort();
      return compiled;
    }),
  );
  const failures: unknown[] = [];
  const compiled: CompiledUnit[] = [];
  for (const result of results) {
    if (result.status === 'rejected') {
      if (!refused.signal.aborted || signal?.aborted) failures.push(result.reason);
    } else {
      compiled.push(result.value);
      save.diagnostics.push(...result.value.diagnostics);
    }
  }
  for (const failure of failures)
    if (failure instanceof CompileError) save.diagnostics.push(...failure.diagnostics);
  if (failures.length > 0) throw failures[0];
  return compiled;
}

/** @param twin as of ObjectFile */
export function readUnit(compiled: CompiledUnit, twin = 0): FreshUnit {
  const elf = ElfFile.parse(compiled.object, readFile(compiled.object, 4 * LARGEST_TEXT));
  const object = new ObjectFile(elf, compiled.source, twin);
  let places: Map<string, FunctionPlace> | undefined;
  let variables: Map<string, FunctionPlace> | undefined;
  let closures: ReturnType<typeof closureShapes> | undefined;
  let statics: readonly FunctionStatic[] | undefined;
  let lines: ReturnType<typeof codeLines> | undefined;
  const linesOf = (fn: ObjectFunction): { file: string; line: number }[] => {
    const unit = readUnits(elf)[0];
    lines ??= unit ? codeLines(elf, unit) : () => [];
    return lines(fn.section.index, fn.offset, fn.size);
  };
  const variablesOf = (): Map<string, FunctionPlace> => (variables ??= placesOf(elf, variableLines));
  return {
    compiled,
    object,
    places: () => (places ??= placesOf(elf, functionLines)),
    variables: variablesOf,
    statics: () => (statics ??= readUnits(elf).flatMap((unit) => functionStatics(elf, unit))),
    defined: () => new Map(readUnits(elf).flatMap((unit) => [...definedVariables(elf, unit)])),
    writtenIn: (fn) => [...new Set(linesOf(fn).map(({ file }) => file))],
    closures: () => {
      const unit = readUnits(elf)[0];
      return (closures ??= unit && closureShapes(elf, unit));
    },
    declaredIn: (fn) => {
      const rows = new Set(linesOf(fn).map(({ file, line }) => `${file}:${line}`));
      if (rows.size === 0) return undefined;
      const declared = [...variablesOf()].filter(([, { file, line }]) => rows.has(`${file}:${line}`));
      return new Set(declared.map(([symbol]) => symbol));
    },
    producer: () => {
      const unit = readUnits(elf)[0];
      return unit && parseProducer(unit.producer);
    },
  };
}

function placesOf(elf: ElfFile, read: typeof variableLines): Map<string, FunctionPlace> {
  const places = new Map<string, FunctionPlace>();
  for (const unit of readUnits(elf))
    for (const place of read(elf, unit)) {
      const known = places.get(place.symbol);
      if (!known || (known.address === undefined && place.address !== undefined))
        places.set(place.symbol, place);
    }
  return places;
}
