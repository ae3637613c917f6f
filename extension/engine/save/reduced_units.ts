// Reduced units: the text of a unit without the bodies that nobody needs, compiled for first light, and whether code may be
// taken from that. Remembers the last ones, because the same text comes twice: before the save, and with it.
import { dirname } from 'node:path';
import { CompileError } from '../compile/run_compiler';
import type { CompiledUnit, EngineContext } from '../context';
import type { Baseline } from '../fast/baselines';
import type { ScannedText } from '../fast/edit';
import { preambleEnd } from '../fast/preamble';
import { onlyDeclared, type Parts, reduce, type Reduced } from '../fast/reduce';
import { directivesOf } from '../fast/tokens';
import { parseProducer } from '../dwarf/producer';
import { readUnits } from '../dwarf/units';
import * as abi from '../elf/constants';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import { isThere, look, stampOf } from '../host';
import { CallerAssumptions } from '../compare/caller_assumptions';
import { isNumbered } from '../compare/correlate';
import { readUnit } from './compile';
import { EditedCode, WrittenCode } from './edited_code';
import type { EditedUnit, NewText } from './edited_units';
import { dependenceIn, type Together } from './optimised_light';
import type { Save } from './progress';
import { missedIn, referencesIn, referredTo } from './referred';
import type { FreshUnit } from './unit';

/** Options under which the code of a function depends on others' bodies, or that first light was not tried with. */
const UNSUPPORTED =
  /^(-O([4-9sgz].*|[1-3].+|fast)|-f(sanitize|profile|auto-profile|branch-probabilities|instrument|openmp|openacc|plugin|modules|split-stack|gnu-tm|whole-program|preprocessed|directives-only|optimi[sz]e|permissive).*|--coverage|-coverage|-p|-pg|-traditional.*|-Xclang|-mllvm|--config.*|-specs.*|-include-pch|-x.*|@.*)$/;

/** Saves. */
const PAUSE = 8;

/** How many times as long as its part the whole unit must take. */
const WORTH_IT = 1.5;

/** A unit without the bodies that nobody needs, compiled. */
export interface ReducedUnit {
  unit: FreshUnit;
  baseline: Baseline;
  /** What it was compiled for. */
  edited: EditedCode;
}

/** A unit as a text that is not written yet makes it. */
interface WholeUnit {
  text: string;
  unit: FreshUnit;
  /** Files that the compiler read, with what tells a version of them from another. */
  files: ReadonlyMap<string, string | undefined>;
}

/** What was compiled for a baseline last: reduced units, and a whole one ahead of its save. */
export class CompiledUnits {
  private readonly units = new WeakMap<Baseline, { text: string; key: string; unit: ReducedUnit }>();
  private readonly whole = new WeakMap<Baseline, WholeUnit>();
  /** By source: saves for which the whole text is not compiled over its preamble, because that was no faster. */
  private readonly pauses = new Map<string, number>();

  /** By source: milliseconds that the last reduced unit took to compile while somebody waited. */
  private readonly durations = new Map<string, number>();

  /** @param key what of the text is there */
  of(baseline: Baseline, text: string, key: string): ReducedUnit | undefined {
    const last = this.units.get(baseline);
    return last?.key === key && last.text === text ? last.unit : undefined;
  }

  set(baseline: Baseline, text: string, key: string, unit: ReducedUnit): void {
    this.units.set(baseline, { text, key, unit });
  }

  /** By source: functions that parts of it referred to where its text does not show it, by name. */
  private readonly referred = new Map<string, Set<string>>();

  /** A part of the unit would not be there much sooner than the whole of it over its preamble, and both would take the
   * processors from each other. */
  isHardlySooner({ compiled }: Baseline): boolean {
    const part = this.durations.get(compiled.source);
    return compiled.isOverPreamble === true && part !== undefined && compiled.milliseconds < WORTH_IT * part;
  }

  tookFor({ source, milliseconds }: CompiledUnit): void {
    this.durations.set(source, milliseconds);
  }

  /** @returns those of a text, by their place in the list */
  referredIn(source: string, { functions }: ScannedText): number[] {
    const names = this.referred.get(source);
    return names ? functions.flatMap(({ name }, index) => (names.has(name) ? [index] : [])) : [];
  }

  wereReferred(source: string, { functions }: ScannedText, indices: Iterable<number>): void {
    const names = this.referred.get(source) ?? new Set();
    for (const index of indices) names.add(functions[index]!.name);
    this.referred.set(source, names);
  }

  /** Undefined also when a file that it was compiled from was written since: the text may include others than before. */
  wholeOf({ baseline, text }: NewText): FreshUnit | undefined {
    const compiled = this.whole.get(baseline);
    if (compiled?.text !== text) return undefined;
    return [...compiled.files].every(([file, stamp]) => stampOf(file) === stamp) ? compiled.unit : undefined;
  }

  setWhole({ baseline }: NewText, unit: WholeUnit): void {
    this.whole.set(baseline, unit);
  }

  /** The unit was compiled as the build does before its text was over the preamble. */
  wasOvertaken(source: string): void {
    this.pauses.set(source, PAUSE);
  }

  /** Counts the saves. */
  isPaused(source: string): boolean {
    const left = this.pauses.get(source) ?? 0;
    if (left > 1) this.pauses.set(source, left - 1);
    else this.pauses.delete(source);
    return left > 0;
  }
}

/** Does ahead, and has the compiler do, what can be done for the first light of a unit's next save. */
export function prepareFirstLight({ compile, log }: EngineContext, baseline: Baseline): void {
  const { scanned, entry, text } = baseline;
  const isPartial = scanned && isOptimised(baseline) && isOfGcc(baseline.object);
  if (isPartial) dependenceIn(baseline.object, scanned);
  if (scanned) referencesIn(baseline.object, scanned);
  if (preambleEnd(text) === 0) return;
  const whole = reduceUnit(
    baseline,
    { text, functions: [], directives: scanned?.directives ?? directivesOf(text) },
    { kept: new Set() },
    undefined,
  );
  // The preamble of an optimised part is compiled with other options.
  const part = isPartial ? reduceUnit(baseline, scanned, { kept: new Set() }, []) : whole;
  for (const reduced of new Set([part, whole]))
    if ('reason' in reduced) log('debug', `no preamble of ${entry.source}: ${reduced.reason}`);
    else compile.prepare(entry, reduced.text, reduced.flags);
}

function isOfGcc(object: ObjectFile): boolean {
  const [unit] = readUnits(object.elf);
  return unit !== undefined && parseProducer(unit.producer)?.compiler === 'gcc';
}

export function isOptimised({ compiled }: Baseline): boolean {
  const level = compiled.argv.findLast((word) => /^-O/.test(word)) ?? '-O0';
  return level !== '-O0';
}

/** Why the text of a unit must not be compiled in another place than its source. */
export function whyNotMoved({ argv }: CompiledUnit): string | undefined {
  const option = argv.find((word) => UNSUPPORTED.test(word));
  return option === undefined ? undefined : `the unit is compiled with ${option}`;
}

function reduceUnit(
  { compiled, entry, language }: Baseline,
  text: ScannedText,
  parts: Parts,
  variables: readonly string[] | undefined,
): Reduced | { reason: string } {
  const reason = whyNotMoved(compiled);
  if (reason !== undefined) return { reason };
  const { directory, spelledSource: spelled } = entry;
  const optimised = variables && { variables };
  return reduce(text, parts, { language, spelled, directory, isThere, optimised });
}

interface How {
  known: CompiledUnits;
  /** Nobody waits for it: at the lowest priority. */
  isAhead: boolean;
}

export async function compileReduced(
  save: Save,
  baseline: Baseline,
  scanned: ScannedText,
  together: Together,
  how: How,
): Promise<ReducedUnit | { reason: string }> {
  const { known } = how;
  const { edited, kept, present, others, variables } = together;
  const key = JSON.stringify([
    [...edited].sort(),
    [...kept].sort(),
    [...present].sort(),
    [...(others ?? [])].sort(),
    variables,
  ]);
  const last = known.of(baseline, scanned.text, key);
  if (last) return last;
  const unit = await compilePart(save, baseline, scanned, together, how);
  if ('reason' in unit) return unit;
  const written = new WrittenCode(unit.object, scanned);
  const code = new EditedCode(written, kept, others);
  const named = new EditedCode(written, edited);
  // One that has no code of its own is where it was inlined.
  const isCompanion = (fn: ObjectFunction): boolean => named.withoutCode === undefined && !named.includes(fn);
  const isWanted = code.includes.bind(code);
  const found = { unit: { ...unit, text: scanned.text, isWanted, isCompanion }, baseline, edited: code };
  known.set(baseline, scanned.text, key, found);
  return found;
}

/** With the bodies that others refer to; those of which that shows in the object only are there when it is compiled again. */
async function compilePart(
  { context, request: { signal } }: Save,
  baseline: Baseline,
  scanned: ScannedText,
  { present, variables }: Together,
  { known, isAhead }: How,
): Promise<FreshUnit | { reason: string }> {
  const { source } = baseline.entry;
  const referred = referredTo(baseline, scanned, present);
  for (const index of known.referredIn(source, scanned)) referred.add(index);
  const late = new Set<number>();
  for (;;) {
    const parts = { kept: present, referred };
    const declared = onlyDeclared(scanned, parts);
    const reduced = reduceUnit(baseline, scanned, parts, variables);
    if ('reason' in reduced) return reduced;
    const { text, flags: extraFlags } = reduced;
    let compiled: CompiledUnit | undefined;
    try {
      compiled = await context.compile.compileUnit(baseline.entry, { text, extraFlags, signal, isAhead });
    } catch (thrown) {
      if (!(thrown instanceof CompileError)) throw thrown;
      // The whole text says whether it is at fault.
      if (declared.size === 0 || isIn(present, scanned, thrown))
        return { reason: `a part of it does not compile: ${thrown.message}` };
    }
    if (compiled && !isAhead) known.tookFor(compiled);
    const unit = compiled && readUnit(compiled);
    const missed = (unit && missedIn(unit.object, baseline, scanned, declared)) ?? declared;
    if (unit && missed.size === 0) {
      known.wereReferred(source, scanned, late);
      return unit;
    }
    for (const index of missed) {
      referred.add(index);
      late.add(index);
    }
  }
}

/** Is an error one of some functions? */
function isIn(
  present: ReadonlySet<number>,
  { text, functions }: ScannedText,
  { place: { line } }: CompileError,
): boolean {
  const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length;
  return [...present].some((index) => {
    const { start, end } = functions[index]!;
    return line !== undefined && lineAt(start) <= line && line <= lineAt(end);
  });
}

/** The whole text, as a reduced unit that lacks nothing.
 * @param how with a signal: beside a compile of the same unit as the build does it, over the preamble alone, and no longer
 * than until the signal. Else nobody waits for it: at the lowest priority */
export async function compileWhole(
  { context, request: { signal } }: Save,
  newText: NewText,
  { known, overtaken }: { known: CompiledUnits; overtaken?: AbortSignal },
): Promise<FreshUnit | { reason: string }> {
  const compiled = known.wholeOf(newText);
  if (compiled) return compiled;
  const { source, baseline, text: whole } = newText;
  const reduced = reduceUnit(
    baseline,
    { text: whole, functions: [], directives: directivesOf(whole) },
    { kept: new Set() },
    undefined,
  );
  if ('reason' in reduced) return reduced;
  const { text, flags: extraFlags } = reduced;
  if (overtaken) {
    if (!context.compile.preambleOf(baseline.entry, text, extraFlags))
      return { reason: `no preamble of ${source} was compiled ahead` };
    if (known.isPaused(source)) return { reason: `${source} is compiled as fast without its preamble` };
  }
  const request = { text, extraFlags, isAhead: !overtaken, listFiles: true };
  const started = Date.now();
  let compiledText: CompiledUnit;
  try {
    compiledText = await context.compile.compileUnit(baseline.entry, {
      ...request,
      signal: overtaken ? AbortSignal.any([overtaken, ...(signal ? [signal] : [])]) : signal,
    });
  } catch (thrown) {
    if (!overtaken?.aborted || signal?.aborted) throw thrown;
    known.wasOvertaken(source);
    return { reason: 'the whole unit was compiled before' };
  }
  const unit = { ...readUnit(compiledText), text: whole };
  // The text itself lies beside the object.
  const beside = `${dirname(unit.compiled.object)}/`;
  const read = unit.compiled.files?.filter((file) => !file.startsWith(beside));
  if (!read) return { reason: 'the compiler does not say which files it read' };
  const late = read.find((file) => (look(file)?.mtimeMs ?? started) >= started);
  if (late !== undefined) return { reason: `${late} was written meanwhile` };
  const files = new Map(read.map((file) => [file, stampOf(file)]));
  known.setWhole(newText, { text: whole, unit, files });
  return unit;
}

/** Why code cannot be taken from a reduced unit. */
export function objection(
  { unit: { object }, edited }: ReducedUnit,
  { baseline }: EditedUnit,
): string | undefined {
  const { object: before, language, compiled } = baseline;
  const [unit] = readUnits(object.elf);
  const producer = unit && parseProducer(unit.producer);
  const isGcc = producer?.compiler === 'gcc';
  if (!isGcc && producer?.compiler !== 'clang') return 'it is not known how its compiler works';
  const [missing] = edited.missingSymbols;
  if (missing !== undefined) return `${missing} depends on what was edited`;
  const isPlain = isGcc ? producer.optimisation === '0' : !isOptimised(baseline);
  if (isPlain === isOptimised(baseline)) return 'it is not known how it was optimised';
  if (isPlain && edited.withoutCode !== undefined)
    return `the function at line ${edited.withoutCode} has no code of its own`;
  for (const fn of edited.functions)
    if (object.isLeftOut(fn)) return `${fn.symbol.name} is part of what was left out`;
  for (const fn of object.functions) {
    const { name } = fn.symbol;
    if (!object.isLeftOut(fn) && (isNumbered(name) || /\$_\d/.test(name))) return `${name} has a number`;
  }
  for (const symbol of object.symbols) {
    const section = object.sectionOf(symbol);
    if (symbol.type !== abi.STT_OBJECT || !section || !(section.flags & abi.SHF_WRITE)) continue;
    if (language === 'c++' && isNumbered(symbol.name)) return `${symbol.name} has a number`;
  }
  // Optimised, all callers in the unit are compiled with what they call.
  if (!isPlain) return undefined;
  const mayThrow = language === 'c++' || compiled.argv.includes('-fexceptions');
  const assumptions = new CallerAssumptions(before, object, { mayThrow, mayBeUnaligned: isGcc });
  for (const fn of edited.functions)
    if (assumptions.mayDisappoint(fn))
      return `callers of ${fn.symbol.name} may count on what it no longer is`;
  return undefined;
}
