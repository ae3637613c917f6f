// The readers of ELF and debug information, of files that are malformed: each ends, and says so with a code. A small
// part of what `npm run fuzz readers` does, and what it has found.
import { strict as assert } from 'node:assert';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { readUnits, fileTable, headerOf } from '../../extension/engine/dwarf/units';
import { Dwarf } from '../../extension/engine/dwarf/dwarf';
import { Archive } from '../../extension/engine/elf/archive';
import { ElfFile, findNote } from '../../extension/engine/elf/file';
import { HotPatchError } from '../../extension/engine/model/errors';
import { mutate, targets } from '../fuzz/mutate';
import { readEverything } from '../fuzz/read_everything';
import { root } from '../support/paths';
import { inSession, type Session } from '../support/session';

async function seed(session: Session, compiler: string, flags: string[]): Promise<Buffer> {
  for (const name of ['seed.cc', 'seed.h'])
    session.write(name, readFileSync(join(root, 'test', 'fuzz', 'seeds', name), 'utf8'));
  await session.run(compiler, [...flags, '-c', 'seed.cc', '-o', 'seed.o']);
  return readFileSync(session.path('seed.o'));
}

const forms: [name: string, compiler: string, flags: string[]][] = [
  ['DWARF 5 of gcc', 'g++', ['-g', '-O1']],
  ['DWARF 4 of gcc', 'g++', ['-gdwarf-4', '-fdebug-types-section']],
  ['DWARF 5 of clang', 'clang++', ['-g', '-O1']],
];

describe('the readers of object files', () => {
  for (const [name, compiler, flags] of forms)
    it(
      `end with a code on every one of 500 changed objects (${name})`,
      inSession(async (session) => {
        const bytes = await seed(session, compiler, flags);
        assert.equal(readEverything(bytes), undefined);
        const ranges = targets(bytes);
        for (let number = 0; number < 500; number++) {
          const found = readEverything(mutate(bytes, ranges, number));
          assert.equal(found, undefined, `input ${number}: ${found}`);
        }
      }),
    );

  it(
    'find a member of a static library, and none in one that is cut off',
    inSession(async (session) => {
      const object = await seed(session, 'g++', ['-g']);
      await session.run('ar', ['rcs', 'whole.a', 'seed.o']);
      const symbol = ElfFile.parse('seed.o', object)
        .symbols()
        .find(({ binding, section, name }) => binding === 1 && section !== 0 && name !== '')!.name;
      assert.deepEqual(new Archive(session.path('whole.a')).defining(symbol)?.bytes, object);
      assert.equal(new Archive(session.path('whole.a')).defining('nobody'), undefined);
      const whole = readFileSync(session.path('whole.a'));
      for (let cut = 0; cut < whole.length; cut += cut < 1000 ? 1 : 4099) {
        writeFileSync(session.path('cut.a'), whole.subarray(0, cut));
        assert.equal(new Archive(session.path('cut.a')).defining(symbol), undefined);
      }
    }),
  );

  it(
    'end with a code at a line table whose header is longer than its section',
    inSession(async (session) => {
      const bytes = await seed(session, 'gcc', ['-g', '-gdwarf-4']);
      const elf = ElfFile.parse('seed.o', bytes);
      const { index, size } = elf.section('.debug_line')!;
      const start = Number(bytes.readBigUInt64LE(Number(bytes.readBigUInt64LE(40)) + index * 64 + 24));
      // Behind length and version is header_length (6.2.4); names without an end follow.
      bytes.writeUInt32LE(0xfffffff0, start + 6);
      bytes.fill('a', start + 28, start + size);
      assert.equal(readEverything(bytes), undefined);
      assert.throws(
        () => fileTable(Dwarf.of(ElfFile.parse('seed.o', bytes)), headerOf(elf, readUnits(elf)[0]!), ''),
        { code: 'unsupported-object' },
      );
    }),
  );

  it(
    'end with a code wherever the line table is cut off',
    inSession(async (session) => {
      const bytes = await seed(session, 'g++', ['-g']);
      const { index, size } = ElfFile.parse('seed.o', bytes).section('.debug_line')!;
      const field = Number(bytes.readBigUInt64LE(40)) + index * 64 + 32;
      for (let cut = 0; cut < size; cut++) {
        const changed = Buffer.from(bytes);
        changed.writeBigUInt64LE(BigInt(cut), field);
        const elf = ElfFile.parse('seed.o', changed);
        const files = () => readUnits(elf).map((unit) => fileTable(Dwarf.of(elf), headerOf(elf, unit), ''));
        try {
          files();
        } catch (error) {
          assert.ok(error instanceof HotPatchError, String(error));
        }
      }
    }),
  );

  it(
    'read compressed debug information as they read it uncompressed, and name zstd where this Node.js has none',
    inSession(async (session) => {
      const plain = await seed(session, 'g++', ['-g']);
      const whole = ElfFile.parse('seed.o', plain);
      for (const method of ['zlib', 'zstd']) {
        await session.run('objcopy', [`--compress-debug-sections=${method}`, 'seed.o', 'small.o']);
        const small = ElfFile.parse('small.o', readFileSync(session.path('small.o')));
        const same = (): void => {
          for (const name of ['.debug_info', '.debug_line', '.debug_str'])
            assert.deepEqual(small.data(small.section(name)!), whole.data(whole.section(name)!), name);
        };
        if (method === 'zlib' || 'zstdDecompressSync' in zlib) same();
        else
          assert.throws(
            same,
            (error) =>
              error instanceof HotPatchError &&
              error.code === 'unsupported-object' &&
              /compressed with zstd, which Node\.js .* does not read: build with -gz=zlib/.test(
                error.message,
              ),
          );
      }
    }),
  );

  it(
    'refuse compressed debug information that is malformed or larger than it says',
    inSession(async (session) => {
      await seed(session, 'g++', ['-g']);
      for (const method of ['zlib', 'zstd']) {
        await session.run('objcopy', [`--compress-debug-sections=${method}`, 'seed.o', 'small.o']);
        const bytes = readFileSync(session.path('small.o'));
        const { offset } = ElfFile.parse('small.o', bytes).section('.debug_info')!;
        const damage: ((changed: Buffer) => void)[] = [
          (changed) => changed.writeBigUInt64LE(16n, offset + 8),
          (changed) => changed.writeBigUInt64LE(1n << 50n, offset + 8),
          (changed) => changed.fill(0xee, offset + 24, offset + 60),
          (changed) => changed.writeUInt32LE(9, offset),
        ];
        for (const change of damage) {
          const changed = Buffer.from(bytes);
          change(changed);
          const elf = ElfFile.parse('small.o', changed);
          assert.throws(
            () => elf.data(elf.section('.debug_info')!),
            (error) => error instanceof HotPatchError && error.code === 'unsupported-object',
          );
        }
      }
    }),
  );

  it('end on notes whose sizes lead back', () => {
    const notes = Buffer.alloc(64);
    notes.writeUInt32LE(0xfffffff4, 0);
    assert.equal(findNote(notes, 'GNU', 3), undefined);
  });

  it(
    'refuse what is no regular file, without waiting for it',
    inSession(async (session) => {
      await session.run('mkfifo', ['fifo']);
      mkdirSync(session.path('directory'));
      for (const path of [session.path('fifo'), session.path('directory'), '/dev/zero'])
        assert.throws(
          () => ElfFile.open(path),
          (error) => error instanceof HotPatchError && error.code === 'unreadable-file',
        );
      writeFileSync(session.path('short'), '\x7fELF');
      assert.throws(() => ElfFile.open(session.path('short')), /too short/);
    }),
  );

  it(
    'keep no descriptor of a file that is opened for each section, and read no other file in its place',
    inSession((session) => {
      const program = process.execPath;
      const path = session.path('copy');
      copyFileSync(program, path);
      const descriptors = () => readdirSync('/proc/self/fd').length;
      const before = descriptors();
      const one = ElfFile.openForEachSection(path);
      const whole = ElfFile.open(path);
      for (const name of ['.dynstr', '.symtab'])
        assert.deepEqual(one.data(one.section(name)!), whole.data(whole.section(name)!));
      whole.close();
      assert.equal(descriptors(), before);
      renameSync(path, session.path('gone'));
      copyFileSync(program, path);
      assert.throws(() => one.data(one.section('.dynsym')!), /another file now/);
      return Promise.resolve();
    }),
  );
});
