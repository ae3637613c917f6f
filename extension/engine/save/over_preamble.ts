// The whole unit over its preamble, in place of the compile as the build does it: for units of which both gave the same
// object. When a unit was compiled as the build does it and its preamble is there, its text is compiled over that as well,
// when nothing else is to be done, and the two objects are compared. Any other preamble (another header, text or command)
// has to show it anew.
import { isDeepStrictEqual } from 'node:util';
import { CompileError } from '../compile/run_compiler';
import type { CompileContext, CompiledUnit, EngineContext, Preamble } from '../context';
import type { Baseline, Baselines } from '../fast/baselines';
import { preambleEnd } from '../fast/preamble';
import { entire, type Reduced } from '../fast/reduce';
import { isThere, stampOf } from '../host';
import { readUnit } from './compile';
import { whyNotMoved } from './reduced_units';
import { isSameUnit } from './same_unit';
import type { FreshUnit } from './unit';

/** Texts of sources before they are compiled, with what tells whether they are the ones that were. */
export type Texts = ReadonlyMap<string, { text: string; stamp: string | undefined }>;

/** What is known of preambles, by source: of the last one of each. */
export class TriedPreambles {
  private readonly tried = new Map<string, { key: string; isSame: boolean }>();

  /** Undefined: it was not tried. */
  isSame(source: string, preamble: Preamble): boolean | undefined {
    const last = this.tried.get(source);
    return last?.key === keyOf(preamble) ? last.isSame : undefined;
  }

  /** Of any preamble. */
  hasSame(source: string): boolean {
    return this.tried.get(source)?.isSame === true;
  }

  set(source: string, preamble: Preamble, isSame: boolean): void {
    this.tried.set(source, { key: keyOf(preamble), isSame });
  }
}

const keyOf = ({ header, stamp }: Preamble): string => `${stamp} ${header}`;

/** Has the preamble compiled and tried, when nothing else is to be done.
 * @param plain the unit of the baseline, compiled as the build does it */
export function tryPreamble(
  { compile, log }: EngineContext,
  baseline: Baseline,
  plain: FreshUnit,
  tried: TriedPreambles,
): void {
  const { entry } = baseline;
  if (plain.compiled.isOverPreamble || preambleEnd(baseline.text) === 0) return;
  const whole = entireText(baseline, baseline.text);
  if ('reason' in whole) return;
  const known = compile.preambleOf(entry, whole.text, whole.flags);
  if (known && tried.isSame(entry.source, known) !== undefined) return;
  compile.prepare(entry, whole.text, whole.flags, (compiled, preamble) => {
    const isSame = isSameUnit(plain, readUnit(compiled));
    tried.set(entry.source, preamble, isSame);
    const so = isSame ? 'the same' : 'another';
    log('debug', `over its preamble ${entry.source} is ${so} object`);
  });
}

/** Compiles a unit over its preamble if that gives the same object, else as the build does it.
 * @param texts of the sources as they are now */
export function compileOverPreamble(
  { compile, log }: EngineContext,
  { baselines, tried }: { baselines: Baselines; tried: TriedPreambles },
  texts: Texts,
): CompileContext['compileUnit'] {
  return async (entry, request = {}) => {
    const { signal, listFiles, ...others } = request;
    const read = texts.get(entry.source);
    const baseline = baselines.of(entry.source);
    const isPlain = Object.values(others).every((value) => value === undefined);
    const isKnown = baseline && isDeepStrictEqual({ ...baseline.entry }, { ...entry });
    const known =
      isPlain && read && isKnown ? overSamePreamble(compile, baseline, read.text, tried) : undefined;
    if (!known) return compile.compileUnit(entry, request);
    const { text, flags, preamble } = known;
    const how = { signal, listFiles, text, extraFlags: flags, overPreamble: true };
    const compiled = await compile.compileUnit(entry, how).catch((thrown: unknown) => {
      // What is wrong with it is said as the build would say it.
      if (!(thrown instanceof CompileError)) throw thrown;
      log('debug', `${entry.source} does not compile over its preamble: ${thrown.message}`);
    });
    const isCurrent = compiled && stampOf(entry.source) === read!.stamp;
    return isCurrent ? asOfSource(compiled, preamble) : compile.compileUnit(entry, request);
  };
}

/** A text as it is compiled over its preamble; undefined unless that gives the same object. */
export function overSamePreamble(
  compile: CompileContext,
  baseline: Baseline,
  text: string,
  tried: TriedPreambles,
): (Reduced & { preamble: Preamble }) | undefined {
  if (!tried.hasSame(baseline.entry.source)) return undefined;
  const whole = entireText(baseline, text);
  if ('reason' in whole) return undefined;
  const preamble = compile.preambleOf(baseline.entry, whole.text, whole.flags);
  return preamble && tried.isSame(baseline.entry.source, preamble) ? { ...whole, preamble } : undefined;
}

function entireText(baseline: Baseline, text: string): Reduced | { reason: string } {
  const { entry, language, compiled } = baseline;
  const reason = whyNotMoved(compiled);
  if (reason !== undefined) return { reason };
  return entire(text, { language, spelled: entry.spelledSource, directory: entry.directory, isThere });
}

/** With the files that were read for it: the source in place of its text, and those of the preamble. */
function asOfSource(compiled: CompiledUnit, { header, files }: Preamble): CompiledUnit {
  const beside = compiled.object.slice(0, compiled.object.lastIndexOf('/') + 1);
  const own = compiled.files?.filter((file) => file !== header && !file.startsWith(beside));
  return {
    ...compiled,
    isOverPreamble: true,
    ...(own && { files: [...new Set([compiled.source, ...files, ...own])] }),
  };
}
