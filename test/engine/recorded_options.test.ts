// What compilers record of their options (DW_AT_producer): whether the command for a patch object and that of the build make
// the same code is told by those that make code, not by what the former leaves out, changes or adds.
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { objectCommand, outputOf } from '../../extension/engine/compile/command';
import { codeOptions } from '../../extension/engine/compile/recorded_options';
import { parseProducer } from '../../extension/engine/dwarf/producer';
import { readUnits } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import { inSession, type Session, Unit } from '../support/session';

const SOURCE = 'long twice(long n) { return n * 2; }\nint main() { return (int)twice(0); }\n';

/** The options of an object that make its code, as they were recorded. */
function recorded(session: Session, output: string): string[] {
  const elf = ElfFile.open(join(session.directory, output));
  try {
    const unit = readUnits(elf).find(({ path }) => path.endsWith('unit.c'));
    return codeOptions(parseProducer(unit!.producer).options);
  } finally {
    elf.close();
  }
}

/** Of the object or program that a build makes, and of the object that we make of its command. */
async function both(session: Session, [compiler = '', ...words]: string[]): Promise<[string[], string[]]> {
  const { directory } = session;
  const entry = {
    source: join(directory, 'unit.c'),
    spelledSource: 'unit.c',
    directory,
    arguments: [compiler, ...words],
    output: outputOf([compiler, ...words], directory),
    database: join(directory, 'compile_commands.json'),
  };
  await session.run(compiler, words);
  const ours = objectCommand(entry, 'ours.o', ['-MD', '-MF', 'ours.d'], () => undefined);
  await session.run(ours[0]!, ours.slice(1));
  return [recorded(session, 'built'), recorded(session, 'ours.o')];
}

/** Each changes no code, or we change it ourselves. */
const WITHOUT_CODE: Record<string, string[]> = {
  gcc: [
    ...['-gz', '-gz=zlib -g3', '-g1', '-ggdb', '-gdwarf-4', '-fdebug-types-section'],
    ...[
      '-femit-struct-debug-baseonly',
      '-save-temps',
      '-MD -MF unit.d',
      '-Wp,-MD,unit.d',
      '-Wa,-adhln=unit.lst',
    ],
    ...[
      '-fno-lto',
      '-flto -fno-lto -fno-fat-lto-objects',
      '-fno-use-linker-plugin',
      '-fuse-ld=bfd -Wl,-z,now',
    ],
    ...[
      '--coverage',
      '-ftest-coverage',
      '-fstack-usage',
      '-fcallgraph-info',
      '-fprofile-use',
      '-Wno-missing-profile',
    ],
    ...[
      '-Wall -Werror -pedantic-errors',
      '-Werror=return-type',
      '-fdiagnostics-color=always',
      '-fmessage-length=80',
    ],
    ...['-fno-function-sections', '-fno-merge-constants', '-frandom-seed=1', '-pipe'],
  ],
  clang: [
    ...['-gz', '-gz=zlib -g3', '-gline-tables-only', '-ggdb', '-gdwarf-4', '-fdebug-types-section'],
    ...[
      '-save-temps',
      '-MD -MF unit.d',
      '-MMD -MT unit -MP',
      '-Wp,-MD,unit.d',
      '-serialize-diagnostics unit.dia',
    ],
    ...['-fno-lto', '-flto=thin -fno-lto', '-fno-split-lto-unit', '-ftime-trace', '-fstack-usage'],
    ...['--coverage', '-ftest-coverage', '-Wall -Werror -pedantic-errors', '-fcolor-diagnostics', '-pipe'],
    ...[
      '-fdiagnostics-color=always',
      '-fno-function-sections',
      '-ffile-prefix-map=/nowhere=.',
      '-Xclang -ast-view',
    ],
  ],
};

/** Each makes other code. */
const OF_CODE = ['-O0', '-fPIC', '-fno-inline', '-fprofile-arcs', '-fpatchable-function-entry=5', '-mavx'];

const recording: Record<string, string[]> = { gcc: ['gcc'], clang: ['clang', '-grecord-command-line'] };

describe('The recorded options of a build and those of our command for it', () => {
  for (const [compiler, options] of Object.entries(WITHOUT_CODE)) {
    it(
      `are the same, whatever of them we leave out, change or add (${compiler})`,
      inSession(async (session) => {
        session.write('unit.c', SOURCE);
        for (const option of options) {
          const build = [
            ...recording[compiler]!,
            '-O2',
            '-g',
            ...option.split(' '),
            '-c',
            'unit.c',
            '-o',
            'built',
          ];
          const [built, ours] = await both(session, build);
          assert.deepEqual(ours, built, option);
        }
        const [built, ours] = await both(session, [
          ...recording[compiler]!,
          '-O2',
          '-g',
          'unit.c',
          '-o',
          'built',
        ]);
        assert.deepEqual(ours, built, 'compiled and linked at once');
        assert.ok(ours.includes('-O2'));
      }),
    );
    it(
      `tell commands apart that make other code (${compiler})`,
      inSession(async (session) => {
        session.write('unit.c', SOURCE);
        const seen = new Set<string>();
        for (const option of ['-O2', ...OF_CODE]) {
          await session.run(recording[compiler]![0]!, [
            ...recording[compiler]!.slice(1),
            ...['-g', '-O2', option, '-c', 'unit.c', '-o', 'built'],
          ]);
          seen.add(recorded(session, 'built').join(' '));
        }
        assert.equal(seen.size, OF_CODE.length + 1, [...seen].join('\n'));
      }),
    );
  }
});

const logged = `#define LOG(what, n) ((what) * 1000 + (n))
${Array.from({ length: 7 }, (_, i) => `long f${i}(long n) { return LOG(${i}, n); }`).join('\n')}
long g0(long n) { return n * 3 + 1; }
long g1(long n) { return n * 5 + 1; }
long value(long n) { return f3(LOG(1, n)); }
`;

describe('An edit of most functions of a unit', () => {
  for (const [how, compiler, flags] of [
    ['compresses debug information', 'gcc', ['-gz']],
    ['writes what gcov reads of it', 'gcc', ['-ftest-coverage']],
    ['records the command line', 'clang', ['-grecord-command-line', '-gz', '-MD', '-save-temps']],
  ] as const)
    it(
      `is delivered where the build ${how} (${compiler})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, logged, {
          language: 'c',
          compiler,
          flags: ['-O0', '-g', ...flags],
        });
        // As where the database is newer than the build: only the producers tell that it is one of the same options.
        session.write('CMakeCache.txt', '');
        session.write('compile_commands.json', session.read('compile_commands.json'));
        assert.equal(await unit.value(5), 4005);
        await unit.editAndPatch('(n))', '(n) + 1)');
        assert.equal(await unit.value(5), 4007);
      }),
    );
});
