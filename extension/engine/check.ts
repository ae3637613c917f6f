// Does a file's compile command reproduce the code that runs? The way of a save up to the comparison; `hot-patch check`
// and the editor ask before the first save. Patches nothing.
import { basename } from 'node:path';
import type { EngineContext } from './context';
import type { Target } from './engine';
import { toProblem } from './model/errors';
import type { CheckReport, Problem } from './model/result';
import type { Known } from './save/first_light';
import { Save } from './save/progress';
import { readTexts, remember } from './save/remember';
import { compareVariants, compileVariants } from './save/variants';

/** Does each file's command reproduce the code that runs? Compiles and compares; patches nothing.
 * @param known where the texts that it does so for are remembered, for the first light of their next save */
export async function checkFiles(
  context: EngineContext,
  files: string[],
  target: Target,
  known?: Known,
): Promise<CheckReport[]> {
  return Promise.all(files.map((file) => checkFile(context, file, target, known)));
}

async function checkFile(
  context: EngineContext,
  file: string,
  target: Target,
  known: Known | undefined,
): Promise<CheckReport> {
  const save = new Save(context, { files: [file], target, firstLight: known !== undefined });
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
    const variants = await compileVariants(save, targets);
    const plans = await compareVariants(save, variants);
    const compared = plans.flatMap((plan) => plan.units.flatMap((unit) => unit.comparison.functions));
    const running = compared.filter(({ live }) => live !== undefined);
    const unchanged = running.filter(({ status }) => status === 'same').length;
    const [refusals, warnings] = [await save.readable(save.refusals), await save.readable(save.warnings)];
    const { process } = targets[0]!;
    const fresh = variants[0]!.units.values().next().value!;
    const more: Partial<CheckReport> = {
      pid: process.pid,
      exe: process.exe,
      command: fresh.compiled.argv,
      directory: fresh.compiled.directory,
      functions: { compared: running.length, unchanged, changed: running.length - unchanged },
      changed: await save.changedFunctions(plans),
      problems: [...refusals, ...warnings],
    };
    const differs = refusals.find(({ code }) => code === 'flags-differ');
    if (differs) return report('flags-differ', differs.message, more);
    const [refusal] = refusals;
    // An edit of data alone changes no function: what would be refused is not what runs.
    if (refusal && unchanged === running.length) return report('edited', refusal.message, more);
    if (unchanged === running.length) {
      if (known) await remember(save, targets, plans, texts, known);
      return report(
        'ready',
        `All ${running.length} functions of ${basename(file)} are as they run in process ${process.pid}.`,
        more,
      );
    }
    return report(
      'edited',
      `${running.length - unchanged} of ${running.length} functions of ${basename(file)} differ from what runs in process ${process.pid}.`,
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
