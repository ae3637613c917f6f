// Pairs of sources whose types are compared, each compiled by real compilers.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareLayouts, type LayoutComparison } from '../../extension/engine/types/layout';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import type { Problem } from '../../extension/engine/model/result';

export interface Build {
  title: string;
  c: string;
  cxx: string;
  flags: string[];
}
const hasClang = spawnSync('clang++', ['--version']).status === 0;
const gcc = { c: 'gcc', cxx: 'g++' };
const clang = { c: 'clang', cxx: 'clang++' };
export const BUILDS: Build[] = [
  { title: 'gcc -O0, DWARF 5', ...gcc, flags: ['-O0', '-gdwarf-5'] },
  { title: 'gcc -O2, DWARF 4', ...gcc, flags: ['-O2', '-gdwarf-4'] },
  ...(hasClang ? [{ title: 'clang -O1, DWARF 5', ...clang, flags: ['-O1', '-gdwarf-5'] }] : []),
];
export const [DEFAULT] = BUILDS as [Build];

export interface Compiled {
  live: ElfFile;
  fresh: ElfFile;
  source: string;
}

export interface Case {
  language?: 'c' | 'cc';
  before: string;
  after: string;
}

export interface Hazard extends Case {
  code?: Problem['code'];
  /** What the one message must say. */
  says: RegExp;
  /** 1-based line of the new source. */
  line: number;
}

/** To be called in a `describe`: what its cases are made with, in a directory of their own. */
export function layoutCases() {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'hot-patch-layout-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** Builds `older` into a shared library and `newer` into an object, both from the same source path. */
  function build(
    older: string,
    newer: string,
    { c, cxx, flags }: Build,
    { language = 'cc', liveFlags = [] as string[], freshFlags = [] as string[] } = {},
  ): Compiled {
    const compiler = language === 'c' ? c : cxx;
    const standard = language === 'c' ? [] : ['-std=c++17'];
    const source = join(directory, `unit.${language}`);
    const run = (...args: string[]): void =>
      void execFileSync(compiler, ['-w', '-fPIC', ...standard, ...flags, ...args], {
        cwd: directory,
        stdio: 'pipe',
      });
    writeFileSync(source, older);
    run('-g', '-shared', '-o', 'live.so', source, ...liveFlags);
    writeFileSync(source, newer);
    run('-g', '-ffunction-sections', '-fdata-sections', '-c', '-o', 'fresh.o', source, ...freshFlags);
    const load = (name: string): ElfFile => {
      const file = ElfFile.open(join(directory, name));
      for (const section of file.sections) file.data(section);
      file.close();
      return file;
    };
    return { live: load('live.so'), fresh: load('fresh.o'), source };
  }

  function compare({ live, fresh, source }: Compiled): LayoutComparison {
    const units = unitsOf(live, source).map(({ unit }) => unit);
    return compareLayouts({ elf: live, units }, { elf: fresh });
  }

  function refuses(title: string, { language, before: older, after: newer, code, says, line }: Hazard): void {
    for (const options of BUILDS)
      it(`refuses: ${title} (${options.title})`, () => {
        const compiled = build(older, newer, options, { language });
        const { problems, warnings } = compare(compiled);
        assert.deepEqual(warnings, []);
        assert.equal(problems.length, 1, JSON.stringify(problems, null, 1));
        const [problem] = problems as [Problem];
        assert.equal(problem.code, code ?? 'layout-changed');
        assert.match(problem.message, says);
        assert.equal(problem.file, compiled.source);
        assert.equal(problem.line, line, problem.message);
      });
  }

  function accepts(title: string, { language, before: older, after: newer }: Case): void {
    for (const options of BUILDS)
      it(`accepts: ${title} (${options.title})`, () => {
        const { problems, warnings } = compare(build(older, newer, options, { language }));
        assert.deepEqual({ problems, warnings }, { problems: [], warnings: [] });
      });
  }

  /** A type, and code that makes every compiler describe it. */
  const struct = (body: string, name = 'S'): string =>
    `struct ${name} { ${body} };\nint use(struct ${name} *s) { return sizeof *s; }\nstruct ${name} object;\n`;

  return { directoryOf: () => directory, build, compare, refuses, accepts, struct };
}
