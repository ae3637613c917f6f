// The ways a project may be built: columns of the matrix.
import { spawnSync } from 'node:child_process';

export interface Variant {
  id: string;
  compiler: 'gcc' | 'clang';
  /** Ending of the compiler's name, e.g. `-11`. */
  version?: string;
  level: string;
  flags?: readonly string[];
  linkFlags?: readonly string[];
  module?: 'executable' | 'linked' | 'loaded';
  /** A program besides the compiler without which the variant cannot be built. */
  needs?: string;
  /** Every edit is meant to be refused with one of these. */
  refused?: readonly string[];
  /** Single edits may be refused with one of these; where they are not, they must be right. */
  limits?: readonly string[];
}

/** Where compilers neither align functions nor pad them, or where the linker puts a file's unlikely code right behind its
 * last function (mold), some are too short for a jump, and at -Os loops lead back into the first bytes (docs/ENGINE.md,
 * TROUBLESHOOTING.md). */
const LIMITS: Readonly<Record<string, readonly string[]>> = {
  'gcc-Og': ['entry-too-short'],
  'gcc-O1': ['entry-too-short'],
  'gcc-Os': ['entry-too-short', 'entry-is-target'],
  'clang-Os': ['entry-too-short'],
  'gcc-O2-mold': ['entry-too-short'],
};

const levels: Variant[] = (['gcc', 'clang'] as const).flatMap((compiler) =>
  ['-O0', '-Og', '-O1', '-O2', '-O3', '-Os'].map((level) => {
    const id = `${compiler}${level}`;
    return { id, compiler, level, limits: LIMITS[id] ?? [] };
  }),
);

const others: [name: string, flags: readonly string[], more?: Partial<Variant>][] = [
  ['no-pie', ['-no-pie', '-fno-pie'], { linkFlags: ['-no-pie'] }],
  ['linked', [], { module: 'linked' }],
  ['loaded', [], { module: 'loaded' }],
  ['dwarf4', ['-gdwarf-4']],
  ['gz', ['-gz']],
  ['sections', ['-ffunction-sections', '-fdata-sections'], { linkFlags: ['-Wl,--gc-sections'] }],
  ['hidden', ['-fvisibility=hidden'], { module: 'linked' }],
  ['cet', ['-fcf-protection=full']],
  ['no-plt', ['-fno-plt']],
  // At -O0 gcc's table of them names inline functions of which the linker kept another unit's copy.
  ['patchable', ['-fpatchable-function-entry=5,2'], { linkFlags: ['-Wl,--noinhibit-exec'] }],
  ['coverage', ['--coverage']],
  ['asan', ['-fsanitize=address']],
  ['ubsan', ['-fsanitize=undefined']],
  ['protector', ['-fstack-protector-all']],
  ['fortify', ['-D_FORTIFY_SOURCE=2']],
  ['frame-pointer', ['-fno-omit-frame-pointer']],
  ['native', ['-march=native']],
  ['gold', [], { linkFlags: ['-fuse-ld=gold'], needs: 'ld.gold' }],
  ['lld', [], { linkFlags: ['-fuse-ld=lld'], needs: 'ld.lld' }],
  ['mold', [], { linkFlags: ['-fuse-ld=mold', '-Wl,-z,execstack'], needs: 'mold' }],
  ['split', ['-gsplit-dwarf']],
  ['lto', ['-flto'], { refused: ['unsupported-object', 'flags-differ'] }],
];

const builds: Variant[] = others.flatMap(([name, flags, more = {}]) =>
  (
    [
      ['gcc', '-O2'],
      ['clang', '-O2'],
      ['gcc', '-O0'],
    ] as const
  ).map(([compiler, level]) => {
    const id = `${compiler}${level}-${name}`;
    return { id, compiler, level, flags, limits: LIMITS[id] ?? [], ...more };
  }),
);

/** What only clang knows. */
const clangOnly: Variant[] = ['-O0', '-O2'].map((level) => ({
  id: `clang${level}-profile`,
  compiler: 'clang',
  level,
  flags: ['-fprofile-instr-generate', '-fcoverage-mapping'],
}));

const versions: Variant[] = (
  [
    ['gcc', '-11'],
    ['gcc', '-12'],
    ['clang', '-14'],
    ['clang', '-19'],
  ] as const
).flatMap(([compiler, version]) =>
  ['-O0', '-O2'].map((level) => ({
    id: `${compiler}${version}${level}`,
    compiler,
    version,
    level,
  })),
);

/** The sanitizer describes a unit's variables in another way from one version of clang to the next. */
const watched: Variant[] = (
  [
    ['', '-O0'],
    ['-19', '-O2'],
    ['-19', '-O0'],
  ] as const
).map(([version, level]) => ({
  id: `clang${version}${level}-asan`,
  compiler: 'clang',
  version,
  level,
  flags: ['-fsanitize=address'],
}));

export const VARIANTS: readonly Variant[] = [...levels, ...versions, ...builds, ...clangOnly, ...watched];

export function variant(id: string): Variant {
  const found = VARIANTS.find((candidate) => candidate.id === id);
  if (!found) throw new Error(`there is no variant ${id}`);
  return found;
}

export const compilersOf = ({ compiler, version = '' }: Variant): { c: string; cxx: string } => ({
  c: `${compiler}${version}`,
  cxx: `${compiler === 'gcc' ? 'g++' : 'clang++'}${version}`,
});

/** Why a variant cannot be built here: the programs that are missing, by name. */
export function missing(variant: Variant): string | undefined {
  const { c, cxx } = compilersOf(variant);
  const absent = [c, cxx, ...(variant.needs === undefined ? [] : [variant.needs])].filter(
    (program) => spawnSync('which', [program]).status !== 0,
  );
  return absent.length > 0 ? `${absent.join(', ')} not installed` : undefined;
}
