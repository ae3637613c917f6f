// From a seed to a case: the program, its edits, and how it is built.
import { makeVersions, type Model, textsOf, UNIT } from './generator';
import { Random } from './random';
import type { Case } from './run';

export interface Made {
  case: Case;
  /** What the versions were made of. */
  models: readonly Model[];
}

/** The case of models that are built as another case is. */
export const remake = (made: Made, models: readonly Model[]): Made => ({
  case: { ...made.case, versions: models.map(textsOf) },
  models,
});

/** How a program is built: compiler and level, and into what. */
export function buildOf(
  random: Random,
  language: 'c' | 'cc',
): Pick<Case, 'compilers' | 'flags' | 'module' | 'title'> {
  const compiler = random.pick(['gcc', 'clang'] as const);
  const level = random.weighted([
    [4, '-O0'],
    [1, '-O1'],
    [4, '-O2'],
    [1, '-O3'],
  ]);
  const module = random.weighted([
    [3, 'executable'],
    [1, 'linked'],
    [1, 'loaded'],
  ] as const);
  return {
    title: `${language === 'c' ? 'C' : 'C++'}, ${compiler} ${level}, ${module}`,
    compilers: { c: compiler, cxx: compiler === 'gcc' ? 'g++' : 'clang++' },
    flags: [level, '-g', '-w'],
    module,
  };
}

export function caseOf(seed: number): Made {
  const random = new Random(seed);
  const language = random.pick(['c', 'cc'] as const);
  const build = buildOf(random, language);
  const models = makeVersions(random.below(2 ** 31), language, 1 + random.below(3));
  return {
    models,
    case: {
      ...build,
      flags: [...build.flags, ...(random.below(6) === 0 ? ['-ffunction-sections'] : [])],
      units: [UNIT[language], `second.${language}`],
      versions: models.map(textsOf),
    },
  };
}
