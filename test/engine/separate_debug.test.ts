// Programs whose symbols and debug information are in a file of their own, or nowhere: the file is found where GDB finds
// it, only the one of the same build is taken, and what it says counts as if it were in the program.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as zlib from 'node:zlib';
import { ElfFile } from '../../extension/engine/elf/file';
import { samples } from '../support/paths';
import { inSession, type Session } from '../support/session';

const unit = `struct pair { int first, second; };
struct pair kept = {1, 0};
static long doubled(long n) { return n * 2 + kept.first; }
long value(long n) { kept.second++; return doubled(n) * 100 + kept.second; }
`;

/** Builds the program with its debug file beside it: `program` is stripped, `program.debug` has what was taken out. */
async function buildStripped(
  session: Session,
  { compiler = 'gcc', level = '-O0', linkFlags = ['-Wl,--build-id'] } = {},
): Promise<void> {
  session.write('unit.c', unit);
  session.write('main.c', readFileSync(join(samples, 'driver', 'main.c'), 'utf8'));
  await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g', level], linkFlags, compiler });
  await session.run('objcopy', ['--only-keep-debug', 'program', 'program.debug']);
  await session.run('strip', ['--remove-section=.comment', 'program']);
  await session.run('objcopy', ['--add-gnu-debuglink=program.debug', 'program']);
}

const buildId = (session: Session): string => {
  const elf = ElfFile.parse('program', readFileSync(session.path('program')));
  return elf.buildId()!;
};

const move = async (session: Session, to: string): Promise<void> => {
  await session.run('mkdir', ['-p', dirname(to)]);
  await session.run('mv', [session.path('program.debug'), to]);
};

describe('a stripped program with a debug file', () => {
  for (const compiler of ['gcc', 'clang'])
    for (const level of ['-O0', '-O2'])
      it(
        `is patched like one that was not stripped: ${compiler} ${level}`,
        inSession(async (session) => {
          await buildStripped(session, { compiler, level });
          const program = await session.start();
          assert.equal(await program.ask('1'), '301');
          await session.patch('unit.c', 'unchanged');
          session.edit('unit.c', 'n * 2', 'n * 3');
          const result = await session.patch('unit.c');
          assert.deepEqual(result.warnings, []);
          assert.equal(await program.ask('1'), '402');
          const before = session.edit('unit.c', 'first, second;', 'first, between, second;');
          await session.refused('unit.c', 'layout-changed');
          session.write('unit.c', before);
          session.edit('unit.c', 'n * 3', 'n * 2');
          await session.patch('unit.c', 'reverted');
          assert.equal(await program.ask('1'), '303');
        }),
      );

  it(
    'is patched wherever GDB finds that file, also when it comes later',
    inSession(async (session) => {
      await buildStripped(session);
      const id = buildId(session);
      const { pid } = await session.start();
      const target = ['--pid', String(pid), '--debug-directory', 'roots', 'unit.c'];
      const root = session.path('roots');
      await move(session, session.path('away', 'program.debug'));
      await session.refused(target, 'no-symbols');
      for (const place of [
        session.path('.debug', 'program.debug'),
        join(root, session.directory, 'program.debug'),
        join(root, '.build-id', id.slice(0, 2), `${id.slice(2)}.debug`),
      ]) {
        await session.run('cp', [session.path('away', 'program.debug'), session.path('program.debug')]);
        await move(session, place);
        await session.patch(target, 'unchanged');
        await session.run('rm', [place]);
      }
    }),
  );

  it(
    'is not patched with that of another build',
    inSession(async (session) => {
      for (const linkFlags of [['-Wl,--build-id'], ['-Wl,--build-id=none']]) {
        await buildStripped(session, { linkFlags });
        const { pid } = await session.start();
        const target = ['--pid', String(pid), 'unit.c'];
        await session.patch(target, 'unchanged');
        await session.run('cp', ['program.debug', 'right.debug']);
        session.edit('unit.c', 'n * 2', 'n * 2 + 1');
        await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g'], linkFlags, output: 'other' });
        await session.run('objcopy', ['--only-keep-debug', 'other', 'program.debug']);
        const { refusals } = await session.refused(target, 'no-symbols');
        assert.match(refusals[0]!.message, /program was stripped.*; .*program\.debug is of another build/);
      }
    }),
  );
});

describe('a stripped program without a debug file', () => {
  it(
    'is named as such',
    inSession(async (session) => {
      await buildStripped(session);
      await move(session, session.path('away', 'program.debug'));
      const { pid } = await session.start();
      const { refusals } = await session.refused(['--pid', String(pid), 'unit.c'], 'no-symbols');
      assert.match(
        refusals[0]!.message,
        /so nothing tells what it was built from; they should be in program\.debug, which was not found/,
      );
      // Whether it was built from the file is not known.
      const run = await session.hotPatch('patch', 'unit.c');
      assert.equal(run.status, 3);
      assert.match(run.stderr, /program was stripped of its symbols and debug .*\[no-process\]/);
    }),
  );
});

describe('a program with debug information that is compressed with zstd', () => {
  it(
    'is patched, or refused by name where this Node.js has no zstd',
    inSession(async (session) => {
      session.write('unit.c', unit);
      session.write('main.c', readFileSync(join(samples, 'driver', 'main.c'), 'utf8'));
      await session.build({ sources: ['main.c', 'unit.c'], flags: ['-g'] });
      await session.run('objcopy', ['--compress-debug-sections=zstd', 'program']);
      const program = await session.start();
      const target = ['--pid', String(program.pid), 'unit.c'];
      session.edit('unit.c', 'n * 2', 'n * 3');
      if ('zstdDecompressSync' in zlib) {
        assert.deepEqual((await session.patch(target)).warnings, []);
        assert.equal(await program.ask('1'), '401');
      } else {
        const { refusals } = await session.refused(target, 'unsupported-module');
        assert.match(refusals[0]!.message, /zstd, which Node\.js .* does not read: build with -gz=zlib/);
      }
    }),
  );
});
