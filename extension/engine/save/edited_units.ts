// Before a save compiles anything: which functions of its units were edited since the text that the running code comes
// from, and whether first light may be taken for that. Reads files; compiles and changes nothing.
import type { LiveTarget } from '../context';
import { parseProducer } from '../dwarf/producer';
import { readUnits } from '../dwarf/units';
import type { Baseline, Baselines } from '../fast/baselines';
import { declarationOf, editedFunctions, scan, type ScannedText } from '../fast/edit';
import { haveSameTokens } from '../fast/tokens';
import { look, stampOf } from '../host';
import { unitsFrom } from './owners';
import type { Save } from './progress';
import { readSourceIfThere } from './source_text';

/** A unit of a save, whose text is not the one that the running code comes from. */
export interface NewText {
  source: string;
  baseline: Baseline;
  text: string;
}

/** One of which only bodies of functions differ. */
export interface EditedUnit extends NewText {
  now: ScannedText;
  /** Functions by their place in `now`. */
  edited: ReadonlySet<number>;
}

export type EditOfTexts =
  | { kind: 'bodies'; units: EditedUnit[] }
  /** Only whole units will do. */
  | { kind: 'texts'; units: NewText[]; reason: string };

export type Edit =
  /** All tokens are what and where they were: there is nothing to do. */
  | { kind: 'none' }
  | EditOfTexts
  /** Only the exact way will do. */
  | { kind: 'other'; reason: string };

/** @param baselines what the running code comes from
 * @param states of the processes, by pid
 * @param ahead.textOf a source that is not written yet; undefined when it cannot be read
 * @param ahead.known the edit of such texts, when it was found ahead of their save */
export function findEdit(
  save: Save,
  targets: readonly LiveTarget[],
  baselines: Baselines,
  states: ReadonlyMap<number, string>,
  {
    textOf = readSourceIfThere,
    known: knownEdit,
  }: {
    textOf?: (source: string) => string | undefined;
    known?: (texts: readonly NewText[]) => EditOfTexts | undefined;
  } = {},
): Edit {
  const other = (reason: string): Edit => ({ kind: 'other', reason });
  const { dryRun, functionName, files, deoptimise, optimise } = save.request;
  if (deoptimise !== undefined || optimise !== undefined)
    return other('a function is to be optimised otherwise');
  if (dryRun || functionName !== undefined) return other('not the whole save is delivered');
  const known = new Map<string, Baseline>();
  for (const { process, modules } of targets)
    for (const { module, source, edited, evidence } of modules.flatMap(({ module, units }) =>
      units.map((unit) => ({ module, ...unit })),
    )) {
      if (unitsFrom(module.elf, source).length > 1) return other(`${source} was compiled several times`);
      const baseline = baselines.of(source);
      if (edited !== source || evidence !== 'debug-information')
        return other(`${edited} is a header of ${source}`);
      if (!baseline) return other(`it is not known what text the code of ${source} comes from`);
      if (baseline.processes.get(process.pid) !== states.get(process.pid))
        return other(`process ${process.pid} was changed by somebody else`);
      for (const [file, stamp] of baseline.files)
        if (file !== source && stampOf(file) !== stamp) return other(`${file} was changed`);
      const newer = describesLess(baseline) && newerHeader(baseline, source, module.path);
      if (newer) return other(`${newer} was changed since ${module.path} was built`);
      known.set(source, baseline);
    }
  if (known.size === 0 || known.size < new Set(files).size) return other('a file is no unit of the process');
  const read: NewText[] = [];
  for (const [source, baseline] of known) {
    const text = textOf(source);
    if (text === undefined) return other(`${source} cannot be read as UTF-8`);
    if (baseline.unconfirmed.size > 0 || baseline.text !== text) read.push({ source, baseline, text });
  }
  return knownEdit?.(read) ?? editOf(read);
}

function editOf(read: readonly NewText[]): Edit {
  const texts: NewText[] = [];
  const units: EditedUnit[] = [];
  let reason: string | undefined;
  for (const { source, baseline, text } of read) {
    const { scanned: before } = baseline;
    const starts = before?.functions.map(({ start }) => start);
    if (baseline.unconfirmed.size === 0 && haveSameTokens(baseline.text, text, starts)) continue;
    texts.push({ source, baseline, text });
    const now = scan(text, baseline.language, before);
    const edited = before && now && editedFunctions(before, now);
    if (!edited) {
      reason ??= `the edit of ${source} is not only of bodies of plain functions`;
      continue;
    }
    for (const index of now.functions.keys())
      if (baseline.unconfirmed.size > 0 && baseline.unconfirmed.has(declarationOf(now, index)))
        edited.add(index);
    if (edited.size === 0) reason ??= `tokens of ${source} moved`;
    units.push({ source, baseline, text, now, edited });
  }
  if (texts.length === 0) return { kind: 'none' };
  return reason === undefined ? { kind: 'bodies', units } : { kind: 'texts', units: texts, reason };
}

/** Over a precompiled header, clang describes types no more that only expressions mention. */
const describesLess = ({ object }: Baseline): boolean =>
  readUnits(object.elf).some(({ producer }) => parseProducer(producer).compiler !== 'gcc');

function newerHeader({ files }: Baseline, source: string, module: string): string | undefined {
  const built = look(module)?.mtimeMs ?? 0;
  return [...files.keys()].find((file) => file !== source && (look(file)?.mtimeMs ?? 0) >= built);
}
