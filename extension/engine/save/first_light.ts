// First light: the edited functions alone, compiled from a reduced unit and delivered while the whole unit is still being
// compiled. Taken only where the reduced unit gives what the whole one would mean, which the comparison shows: whatever
// is in it and was not edited must be as it runs. What the whole unit says has the last word (confirm.ts).
import type { EngineContext, LiveTarget } from '../context';
import type { Baseline } from '../fast/baselines';
import { declarationOf, type ScannedText } from '../fast/edit';
import { preambleEnd } from '../fast/preamble';
import { reduce, type Reduced } from '../fast/reduce';
import { parseProducer } from '../dwarf/producer';
import { functionLines } from '../dwarf/functions';
import { readUnits } from '../dwarf/units';
import type { ObjectFunction } from '../elf/object';
import * as abi from '../elf/constants';
import { isThere, realPathOrSelf } from '../host';
import { CallerAssumptions } from '../compare/caller_assumptions';
import { isNumbered } from '../compare/correlate';
import { isInitialiser } from '../compare/start_code';
import { HotPatchError } from '../model/errors';
import type { PatchResult } from '../model/result';
import { comparePlans, patchesSinceWhole } from './compare';
import { readUnit } from './compile';
import { deliver, NOT_TAKEN } from './deliver';
import type { EditedUnit } from './edited_units';
import { isAnythingNew, isEmpty, linkPatches } from './link';
import { Save } from './progress';
import type { FreshUnit } from './unit';

/** What was delivered. */
export interface FirstLight {
  result: PatchResult;
  /** Versions of all patched functions before, by pid and address. */
  before: ReadonlyMap<number, ReadonlyMap<string, number>>;
  /** Milliseconds from the begin of the save. */
  live: number;
}

/** Options under which the code of a function depends on others' bodies, or that first light was not tried with. */
const UNSUPPORTED =
  /^(-O([1-9sgz].*|fast)?|-f(sanitize|profile|auto-profile|branch-probabilities|instrument|openmp|openacc|plugin|modules|split-stack|gnu-tm|whole-program|preprocessed|directives-only|optimi[sz]e|permissive).*|--coverage|-coverage|-p|-pg|-traditional.*|-Xclang|-mllvm|--config.*|-specs.*|-include-pch|-x.*|@.*)$/;

/** Patches of reduced units one after the other: the types of each are compared with those of all before. */
const MOST_REDUCED = 16;

/** @returns what was delivered, or why nothing was. Throws the signal's reason, and HotPatchError where the process
 * cannot be reached. */
export async function takeFirstLight(
  save: Save,
  targets: readonly LiveTarget[],
  units: readonly EditedUnit[],
): Promise<FirstLight | { reason: string }> {
  // Of its steps only the last can take long: where the process is held.
  const inner = new Save(save.context, {
    ...save.request,
    onProgress: (event) => {
      if (event.step === 'deliver' || event.step.startsWith('wait-')) save.request.onProgress?.(event);
    },
  });
  try {
    const fresh = new Map<string, FreshUnit>();
    const editedCode = new Map<string, EditedCode>();
    for (const unit of units) {
      const compiled = await compileReduced(inner, unit);
      if ('reason' in compiled) return compiled;
      const edited = new EditedCode(unit, compiled);
      const reason = edited.objection();
      if (reason !== undefined) return { reason };
      editedCode.set(unit.source, edited);
      fresh.set(unit.source, { ...compiled, isWanted: (fn) => edited.includes(fn) });
    }
    const concerned = targets.map(({ process, modules }) => ({
      process,
      modules: modules.map(({ module, units: all }) => ({
        module,
        units: all.filter(({ source }) => fresh.has(source)),
      })),
    }));
    const plans = await comparePlans(inner, concerned, fresh);
    const [refusal] = inner.refusals;
    if (refusal) return { reason: refusal.message };
    for (const { comparison, start } of plans.flatMap((plan) => plan.units)) {
      if (start.length > 0) return { reason: 'there is something to construct' };
      const { object } = comparison;
      if (patchesSinceWhole(comparison.live, object).length >= MOST_REDUCED)
        return { reason: 'it is time for a patch with the debug information of the whole unit' };
      const edited = editedCode.get(object.source)!;
      for (const { fn, status } of comparison.functions) {
        if (status === 'same' || status === 'new' || isInitialiser(fn) || edited.includes(fn)) continue;
        // Inline functions stay as they run: with others around them, compilers make other landing pads.
        if (!object.inGroup(fn.section)) return { reason: `${fn.symbol.name} differs and was not edited` };
      }
    }
    const patches = await linkPatches(inner, plans);
    if (patches.every(isEmpty)) return { reason: 'the edited functions are as they run' };
    // Whatever comes of it: until the whole unit was compared, these may differ from the text.
    for (const { baseline, now, edited } of units)
      for (const index of edited) baseline.unconfirmed.add(declarationOf(now, index));
    const before = new Map<number, Map<string, number>>();
    for (const target of targets) {
      const { functions } = await inner.client(target).readStatus();
      before.set(target.process.pid, new Map(functions.map(({ address, version }) => [address, version])));
    }
    await deliver(inner, patches);
    const live = save.total()['total']!;
    const result = await inner.finish(isAnythingNew(patches), plans);
    return { result: { ...result, warnings: [], diagnostics: [], timings: { total: live } }, before, live };
  } catch (thrown) {
    save.request.signal?.throwIfAborted();
    // The exact way would meet the same, and wait for it once more.
    if (thrown instanceof HotPatchError && NOT_TAKEN.has(thrown.code)) throw thrown;
    return { reason: thrown instanceof HotPatchError ? thrown.message : String(thrown) };
  }
}

/** Has the compiler do ahead what it can for the first light of a unit's next save. */
export function prepareFirstLight({ compile, log }: EngineContext, baseline: Baseline): void {
  const { scanned, entry } = baseline;
  if (!scanned || preambleEnd(baseline.text) === 0) return;
  const reduced = reduceUnit(baseline, scanned, new Set());
  if ('reason' in reduced) log('debug', `no preamble of ${entry.source}: ${reduced.reason}`);
  else compile.prepare(entry, reduced.text, reduced.flags);
}

function reduceUnit(
  { compiled, entry, language }: Baseline,
  text: ScannedText,
  kept: ReadonlySet<number>,
): Reduced | { reason: string } {
  const option = compiled.argv.find((word) => UNSUPPORTED.test(word) && word !== '-O0');
  if (option !== undefined) return { reason: `the unit is compiled with ${option}` };
  const { directory, spelledSource: spelled } = entry;
  return reduce(text, kept, { language, spelled, directory, isThere });
}

async function compileReduced(save: Save, unit: EditedUnit): Promise<FreshUnit | { reason: string }> {
  const { baseline, now, edited } = unit;
  const reduced = reduceUnit(baseline, now, edited);
  if ('reason' in reduced) return reduced;
  const { text, flags: extraFlags } = reduced;
  const { signal } = save.request;
  return readUnit(await save.context.compile.compileUnit(baseline.entry, { text, extraFlags, signal }));
}

/** The edited functions of a reduced unit, in its object. */
class EditedCode {
  private readonly lines: { from: number; to: number }[];
  private readonly names: string[] = [];
  private readonly functions = new Set<ObjectFunction>();
  private readonly declared: ReadonlyMap<string, number>;

  constructor(
    private readonly unit: EditedUnit,
    private readonly fresh: FreshUnit,
  ) {
    const { text, functions } = unit.now;
    this.declared = declaredLines(fresh);
    this.lines = [...unit.edited].map((index) => {
      const { start, end } = functions[index]!;
      const from = lineOf(text, start);
      return { from, to: from + lineOf(text.slice(start, end), end - start) - 1 };
    });
    for (const fn of fresh.object.functions) {
      const line = this.lineOf(fn);
      if (line === undefined || !this.lines.some(({ from, to }) => line >= from && line <= to)) continue;
      this.functions.add(fn);
      this.names.push(...fn.aliases.map(({ name }) => name.replace(/^_Z/, '')));
    }
  }

  /** Is it one of them, or was it made for one (a lambda in it, a template of a local type)? */
  includes(fn: ObjectFunction): boolean {
    const { name } = fn.symbol;
    return this.functions.has(fn) || this.names.some((one) => name.includes(`Z${one}E`));
  }

  /** Why their code cannot be taken from the reduced unit. */
  objection(): string | undefined {
    const { object } = this.fresh;
    for (const { from, to } of this.lines) {
      const here = [...this.functions].filter((fn) => {
        const line = this.lineOf(fn)!;
        return line >= from && line <= to;
      });
      if (here.length === 0) return `the function at line ${from} has no code of its own`;
    }
    for (const fn of this.functions)
      if (object.isLeftOut(fn)) return `${fn.symbol.name} is part of what was left out`;
    for (const fn of object.functions) {
      const { name } = fn.symbol;
      if (!object.isLeftOut(fn) && (isNumbered(name) || /\$_\d/.test(name))) return `${name} has a number`;
    }
    for (const symbol of object.symbols) {
      const section = object.sectionOf(symbol);
      if (symbol.type !== abi.STT_OBJECT || !section || !(section.flags & abi.SHF_WRITE)) continue;
      if (this.unit.baseline.language === 'c++' && isNumbered(symbol.name))
        return `${symbol.name} has a number`;
    }
    const [unit] = readUnits(object.elf);
    const producer = unit && parseProducer(unit.producer);
    const isGcc = producer?.compiler === 'gcc';
    if (isGcc ? producer.optimisation !== '0' : producer?.compiler !== 'clang')
      return 'it is not known how its compiler works';
    const { object: before, language, compiled } = this.unit.baseline;
    const mayThrow = language === 'c++' || compiled.argv.includes('-fexceptions');
    const assumptions = new CallerAssumptions(before, object, { mayThrow, mayBeUnaligned: isGcc });
    for (const fn of this.functions)
      if (assumptions.mayDisappoint(fn))
        return `callers of ${fn.symbol.name} may count on what it no longer is`;
    return undefined;
  }

  /** Of its declaration, in the unit's source. */
  private lineOf(fn: ObjectFunction): number | undefined {
    return this.declared.get(`${fn.section.index}:${fn.offset}`);
  }
}

/** Lines in which the functions with code in an object are declared, as far as that is in its source: by section and
 * offset, because compilers leave out the linkage names of local functions. */
function declaredLines({ object }: FreshUnit): Map<string, number> {
  const lines = new Map<string, number>();
  for (const unit of readUnits(object.elf))
    for (const { section, address, line, file } of functionLines(object.elf, unit))
      if (section !== undefined && address !== undefined && realPathOrSelf(file) === object.source)
        lines.set(`${section}:${address}`, line);
  return lines;
}

/** 1-based. */
function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
