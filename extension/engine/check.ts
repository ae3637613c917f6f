// Does a file's compile command reproduce the code that runs? The way of a save up to the comparison; `hot-patch check`
// and the editor ask before the first save. Patches nothing.
import { basename } from 'node:path';
import type { EngineContext } from './context';
import type { Target } from './engine';
import type { Baselines } from './fast/baselines';
import { toProblem } from './model/errors';
import type { CheckReport, Problem } from './model/result';
import { comparePlans } from './save/compare';
import { compileUnits } from './save/compile';
import { Save } from './save/progress';
import { readTexts, remember } from './save/remember';

/** Does each file's command reproduce the code that runs? Compiles and compares; patches nothing.
 * @param baselines where the texts that it does so for are remembered, for the first light of their next save */
export async function checkFiles(
  context: EngineContext,
  files: string[],
  target: Target,
  baselines?: Baselines,
): Promise<CheckReport[]> {
  return Promise.all(files.map((file) => checkFile(context, file, target, baselines)));
}

async function checkFile(
  context: EngineContext,
  file: string,
  target: Target,
  baselines: Baselines | undefined,
): Promise<CheckReport> {
  const save = new Save(context, { files: [file], target, firstLight: baselines !== undefined });
  const report = (
    verdict: CheckReport['verdict'],
    message: string,
    more: Partial<CheckReport> = {},
  ): CheckReport => ({
    file,
    verdict,
    message,
    problems: [],
    timings: save.total(),
    ...more,
  });
  try {
    const targets = await save.step('find-process', () => context.processes.targets([file], target));
    const texts = readTexts(targets);
    const units = await compileUnits(save, targets);
    const plans = await comparePlans(save, targets, units);
    const compared = plans.flatMap((plan) => plan.units.flatMap((unit) => unit.comparison.functions));
    const known = compared.filter(({ live }) => live !== undefined);
    const unchanged = known.filter(({ status }) => status === 'same').length;
    const { process } = targets[0]!;
    const fresh = units.values().next().value!;
    const more: Partial<CheckReport> = {
      pid: process.pid,
      exe: process.exe,
      command: fresh.compiled.argv,
      directory: fresh.compiled.directory,
      functions: { compared: known.length, unchanged, changed: known.length - unchanged },
      changed: await save.changedFunctions(plans),
      problems: [...save.refusals, ...save.warnings],
    };
    const differs = save.refusals.find(({ code }) => code === 'flags-differ');
    if (differs) return report('flags-differ', differs.message, more);
    const [refusal] = save.refusals;
    // An edit of data alone changes no function: what would be refused is not what runs.
    if (refusal && unchanged === known.length) return report('edited', refusal.message, more);
    if (unchanged === known.length) {
      if (baselines) await remember(save, targets, plans, texts, baselines);
      return report(
        'ready',
        `All ${known.length} functions of ${basename(file)} are as they run in process ${process.pid}.`,
        more,
      );
    }
    return report(
      'edited',
      `${known.length - unchanged} of ${known.length} functions of ${basename(file)} differ from what runs in process ${process.pid}.`,
      more,
    );
  } catch (thrown) {
    const problem = toProblem(thrown);
    return report(verdictOf(problem), problem.message, { problems: [problem] });
  }
}

function verdictOf({ code }: Problem): CheckReport['verdict'] {
  switch (code) {
    case 'no-compile-database':
    case 'bad-compile-database':
    case 'no-compile-command':
      return 'no-command';
    case 'compile-failed':
    case 'compiler-not-found':
      return 'compile-failed';
    case 'rebuilt':
      return 'other-build';
    case 'flags-differ':
    case 'unsupported-object':
      return 'flags-differ';
    default:
      return 'no-process';
  }
}
