// How often first light gives at once what the whole unit gives: for each plain function of a unit, what is compiled for an
// edit of that function alone, beside the same functions in the whole unit. What is compared is the assembly that the
// compiler writes, which the engine never looks at.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { ElfFile } from '../../extension/engine/elf/file';
import { LEFT_OUT, ObjectFile } from '../../extension/engine/elf/object';
import type { Baseline } from '../../extension/engine/fast/baselines';
import { scan, type ScannedText } from '../../extension/engine/fast/edit';
import { reduce } from '../../extension/engine/fast/reduce';
import { wholeOf, WrittenCode } from '../../extension/engine/save/edited_code';
import { compiledTogether } from '../../extension/engine/save/optimised_light';
import { referredTo } from '../../extension/engine/save/referred';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';
import { compiledFunctions, type Functions, type UnitCommand } from './assembly';

/** Functions of the units that were looked at. */
export interface Share {
  /** All that they have. */
  functions: number;
  /** Those of which one was edited, as it were. */
  looked: number;
  /** All code of what is compiled for the edit is that of the whole unit. */
  same: number;
  /** It is not: the whole unit would correct it. */
  other: string[];
  /** Only the whole unit is compiled. */
  without: number;
}

export const noShare = (): Share => ({ functions: 0, looked: 0, same: 0, other: [], without: 0 });

interface Unit {
  command: UnitCommand;
  scanned: ScannedText;
  language: 'c' | 'c++';
  object: ObjectFile;
  whole: Functions;
  level: string;
}

/**
 * @param level option that is put behind the unit's own
 * @param most functions to look at, spread evenly over the unit
 * @param atOnce compilers that run at a time
 */
export async function addShare(
  share: Share,
  command: UnitCommand,
  { level, most, atOnce }: { level: string; most: number; atOnce: number },
): Promise<void> {
  const file = resolve(command.directory, command.file);
  const language = extname(file) === '.c' ? 'c' : 'c++';
  const scanned = scan(readFileSync(file, 'utf8'), language);
  if (!scanned || scanned.functions.length === 0) return;
  const directory = temporaryDirectory();
  try {
    const objectPath = join(directory, 'whole.o');
    const whole = await compiledFunctions(command, { flags: [level] });
    if (!whole || !compileObject(command, level, objectPath)) return;
    const object = new ObjectFile(ElfFile.open(objectPath), file);
    const unit: Unit = { command, scanned, language, object, whole, level };
    const step = Math.max(1, scanned.functions.length / most);
    const waiting: number[] = [];
    for (let at = 0; at < scanned.functions.length; at += step) waiting.push(Math.floor(at));
    share.functions += scanned.functions.length;
    const work = async (worker: number): Promise<void> => {
      const input = join(directory, `reduced-${worker}${extname(file)}`);
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift())
        addOne(share, unit, index, await lookAt(unit, index, input));
    };
    await Promise.all(Array.from({ length: atOnce }, (_, worker) => work(worker)));
  } finally {
    removeTemporaryDirectory(directory);
  }
}

function addOne(share: Share, { command, scanned }: Unit, index: number, found: Found): void {
  if (found === 'not there') return;
  share.looked++;
  if (found === 'same') share.same++;
  else if (found === 'without') share.without++;
  else share.other.push(`${command.file}: ${scanned.functions[index]!.name}: ${found.other.join(', ')}`);
}

/** `not there`: the program has no code of it. */
type Found = 'same' | 'without' | 'not there' | { other: string[] };

async function lookAt(unit: Unit, index: number, input: string): Promise<Found> {
  const { command, scanned, language, object, whole, level } = unit;
  const written = new WrittenCode(object, scanned);
  const symbolsOf = (indices: ReadonlySet<number>) =>
    object.functions.filter((fn) => written.placesOf(fn).some((place) => indices.has(place)));
  const edited = new Set([index]);
  if (symbolsOf(edited).length === 0) return 'not there';
  const baseline = { object, scanned } as Baseline;
  const together =
    level === '-O0'
      ? { kept: edited, present: edited }
      : compiledTogether({ source: object.source, baseline, text: scanned.text, now: scanned, edited });
  if ('reason' in together) return 'without';
  const variables = 'variables' in together ? together.variables : undefined;
  const reduced = reduce(
    scanned,
    { kept: together.present, referred: referredTo(baseline, scanned, together.present) },
    {
      language,
      // As the command spells it, which is what __FILE__ is.
      spelled: command.arguments.find((word) => resolve(command.directory, word) === object.source)!,
      directory: command.directory,
      isThere: (path) => existsSync(path),
      optimised: variables && { variables },
    },
  );
  if ('reason' in reduced) return 'without';
  writeFileSync(input, reduced.text.preamble + reduced.text.rest);
  const functions = await compiledFunctions(command, { input, flags: [level, ...reduced.flags] });
  if (!functions) return 'without';
  const names = new Set(symbolsOf(together.kept).map(({ symbol }) => wholeOf(symbol.name)));
  const other = [...functions]
    .filter(([name, code]) => names.has(name) && whole.has(name) && !code.includes(LEFT_OUT))
    .filter(([name, code]) => code !== whole.get(name))
    .map(([name]) => name);
  return other.length === 0 ? 'same' : { other };
}

function compileObject({ arguments: given, directory }: UnitCommand, level: string, output: string): boolean {
  const [compiler, ...args] = given;
  const at = args.indexOf('-o');
  if (at >= 0) args.splice(at, 2);
  const options = [...args, '-w', level, '-g', '-ffunction-sections', '-o', output];
  return spawnSync(compiler!, options, { cwd: directory, stdio: 'ignore' }).status === 0;
}
