// One symbol of a shared library, found by the library's table of hashes, is the one that reading all of them gives.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { ElfFile } from '../../extension/engine/elf/file';
import { exportOf, readExports } from '../../extension/engine/elf/symbol_versions';
import { inSession, type Session } from '../support/session';

/** `answer` in two versions, of which the second is the default one, and `old`, which has none. */
const source = `
int first_answer(void) { return 1; }
int second_answer(void) { return 2; }
int old_only(void) { return 3; }
int plain(void) { return 4; }
int counter;
extern int from_elsewhere(void);
int call(void) { return from_elsewhere(); }
__asm__(".symver first_answer, answer@V1");
__asm__(".symver second_answer, answer@@V2");
__asm__(".symver old_only, old@V1");
`;
const versions = 'V1 { global: plain; counter; call; local: *_answer; old_only; };\nV2 { } V1;\n';
const NAMES = ['answer', 'old', 'plain', 'counter', 'call', 'from_elsewhere', 'first_answer', 'nothing', ''];

async function library(session: Session, ...flags: string[]): Promise<string> {
  session.write('library.c', source);
  session.write('versions', versions);
  const version = '-Wl,--version-script,versions';
  await session.run('gcc', ['-shared', '-fPIC', version, ...flags, 'library.c', '-o', 'library.so']);
  return session.path('library.so');
}

describe('the exports of a library', () => {
  for (const [style, hasTable] of [
    ['gnu', true],
    ['sysv', false],
    ['both', true],
  ] as const)
    it(
      `are found one by one as all together (--hash-style=${style})`,
      inSession(async (session) => {
        const elf = ElfFile.open(await library(session, `-Wl,--hash-style=${style}`));
        try {
          assert.equal(elf.section('.gnu.hash') !== undefined, hasTable);
          const all = readExports(elf);
          assert.equal(all.get('answer')?.version, 'V2');
          assert.equal(all.get('old')?.version, undefined);
          for (const name of NAMES) assert.deepEqual(exportOf(elf, name), all.get(name), name);
          assert.equal(exportOf(elf, 'from_elsewhere'), undefined);
        } finally {
          elf.close();
        }
      }),
    );

  it(
    'are read without a table of hashes that begins behind the last symbol',
    inSession(async (session) => {
      const path = await library(session, '-Wl,--hash-style=gnu');
      const whole = ElfFile.open(path);
      const { offset } = whole.section('.gnu.hash')!;
      whole.close();
      const bytes = readFileSync(path);
      bytes.writeUInt32LE(100_000, offset + 4);
      writeFileSync(path, bytes);
      const elf = ElfFile.open(path);
      try {
        for (const name of NAMES) assert.deepEqual(exportOf(elf, name), readExports(elf).get(name), name);
      } finally {
        elf.close();
      }
    }),
  );
});
