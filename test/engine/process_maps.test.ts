// Memory maps, modules with their load bias, and the choice of a place for a patch.
import { strict as assert } from 'node:assert';
import { Caches } from '../../extension/engine/caches';
import type { AddressSpace, LiveModule, Mapping } from '../../extension/engine/context';
import { ElfFile } from '../../extension/engine/elf/file';
import { STT_FUNC } from '../../extension/engine/elf/constants';
import { hostArchitecture } from '../../extension/engine/arch/choose';
import { findGap, isPatchFile, parseMaps, readAddressSpace } from '../../extension/engine/process/maps';
import { readMemory } from '../../extension/engine/process/memory';
import { createModuleCache, mappedFiles } from '../../extension/engine/process/modules';
import { HotPatchError } from '../../extension/engine/model/errors';
import { inSession } from '../support/session';

const GIB = 2 ** 30;
const x86_64 = hostArchitecture();

describe('a memory map', () => {
  const text = `555555554000-555555556000 r--p 00000000 fe:00 42                         /a b/pro gram
555555556000-555555558000 r-xp 00002000 fe:00 42                         /a b/pro gram
555555558000-555555579000 rw-p 00000000 00:00 0                          [heap]
7ffff7000000-7ffff7001000 r-xs 00000000 00:01 7                          /lib/x.so (deleted)
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`;

  it('is read line by line, without the kernel’s own page', () => {
    const maps = parseMaps(text);
    assert.equal(maps.length, 5);
    assert.deepEqual(maps[1], {
      start: 0x555555556000,
      end: 0x555555558000,
      readable: true,
      writable: false,
      executable: true,
      shared: false,
      offset: 0x2000,
      device: 'fe:00',
      inode: 42,
      path: '/a b/pro gram',
      deleted: false,
    });
    assert.deepEqual([maps[3]!.path, maps[3]!.deleted, maps[3]!.shared], ['/lib/x.so', true, true]);
  });

  it('shows files with code as modules, from their first page, and neither data files nor patches', () => {
    const maps = parseMaps(`1000-2000 r--p 00000000 fe:00 1 /data
400000-401000 r--p 00000000 fe:00 2 /program
500000-501000 r--p 00000000 fe:00 2 /program
501000-502000 r-xp 00001000 fe:00 2 /program
600000-601000 r-xp 00000000 fe:00 3 /tmp/hot_fix-0/12/patches/1.so
`);
    const files = mappedFiles(maps);
    assert.deepEqual(
      files.map(({ path, first }) => [path, first.start]),
      [['/program', 0x500000]],
    );
    assert.ok(isPatchFile('/run/user/1000/hot_fix-1000/77/patches/a.so'));
    assert.ok(isPatchFile('/tmp/hot_fix-1000.59a680c59dba/77/patches/a.so'));
  });
});

describe('the place for a patch', () => {
  const mapping = (start: number, end: number, path = ''): Mapping => ({
    start,
    end,
    path,
    readable: true,
    writable: false,
    executable: false,
    shared: false,
    offset: 0,
    device: '00:00',
    inode: 0,
    deleted: false,
  });
  const space = (...mappings: Mapping[]): AddressSpace => ({
    mappings,
    heapEnd: mappings.find(({ path }) => path === '[heap]')?.end ?? 0,
  });
  const program: Pick<LiveModule, 'start' | 'end' | 'kind' | 'positionIndependent'> = {
    start: 0x555555554000,
    end: 0x555555560000,
    kind: 'executable',
    positionIndependent: true,
  };
  const library = { ...program, start: 0x7ffff7c00000, end: 0x7ffff7e00000, kind: 'shared-library' as const };
  const usual = [
    mapping(program.start, program.end, '/program'),
    mapping(0x555555561000, 0x555555582000, '[heap]'),
    mapping(0x7ffff7a00000, 0x7ffff7c00000, '/usr/lib/other.so'),
    mapping(library.start, library.end, '/lib.so'),
    mapping(0x7ffff7fc0000, 0x7ffff7fff000, '/ld.so'),
    mapping(0x7ffffffde000, 0x7ffffffff000, '[stack]'),
  ];

  it('of an executable is below it', () => {
    const crowd = mapping(program.start - GIB, program.start - 2 ** 24);
    const place = findGap(x86_64, space(crowd, ...usual), program, 8192)!;
    assert.ok(place + 8192 < program.start && program.start - place < 2 ** 20);
    assert.equal(place % 4096, 0);
  });

  it('is where displacements of jumps end in the byte of a breakpoint, if there is room', () => {
    for (const module of [program, library]) {
      const withoutStack = usual.slice(0, -1);
      const place = findGap(x86_64, space(...withoutStack), module, 8192)!;
      for (const target of [place, place + 8191])
        for (const entry of [module.start, module.end - 1]) {
          const jump = Buffer.alloc(4);
          jump.writeInt32LE(target - (entry + 5));
          assert.equal(jump[3], 0xcc);
        }
    }
  });

  it('goes on below earlier patches', () => {
    const first = findGap(x86_64, space(...usual), program, 4096)!;
    const patch = mapping(first, first + 4096, '/tmp/hot_fix-0/1/patches/1.so');
    const second = findGap(x86_64, space(patch, ...usual), program, 4096)!;
    assert.ok(second < first && first - second < 2 ** 20);
  });

  it('keeps clear of a range that was found taken', () => {
    const first = findGap(x86_64, space(...usual), program, 4096)!;
    const second = findGap(x86_64, space(...usual), program, 4096, [{ start: first, end: first + 4096 }])!;
    assert.ok(second + 4096 <= first || second >= first + 4096);
  });

  it('of a library is within reach, and neither under the stack nor where the next mappings go', () => {
    const place = findGap(x86_64, space(...usual), library, 8192)!;
    assert.ok(Math.abs(place - library.start) < 2 * GIB);
    for (const { start, end } of usual) assert.ok(place + 8192 <= start || place >= end);
    assert.ok(place < 0x7ffff7a00000 - 2 ** 27 || place < 0x7ffff7fc0000, place.toString(16));
    assert.ok(place < 0x7ffffffde000 - 2 ** 27);
  });

  it('of an executable that is not position independent is in the low 2 GiB, far above the heap', () => {
    const fixed = { ...program, start: 0x400000, end: 0x410000, positionIndependent: false };
    const maps = space(
      mapping(0x400000, 0x410000),
      mapping(0x1a00000, 0x1b00000, '[heap]'),
      ...usual.slice(2),
    );
    const place = findGap(x86_64, maps, fixed, 8192)!;
    assert.ok(place + 8192 < 2 * GIB && place > 0x1b00000 + 2 ** 29, place.toString(16));
  });

  it('is none when nothing is free within reach', () => {
    const full = mapping(program.start - 3 * GIB, program.start + 3 * GIB);
    assert.equal(findGap(x86_64, space(full), program, 4096), undefined);
  });
});

describe('the modules of a process', () => {
  for (const mode of ['-pie', '-no-pie']) {
    it(
      `have the bias at which symbols lie in memory (${mode})`,
      inSession(async (session) => {
        session.write(
          'main.c',
          '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); getchar(); return 0; }\n',
        );
        await session.run('gcc', [
          '-g',
          mode === '-pie' ? '-fPIE' : '-fno-pie',
          mode,
          'main.c',
          '-o',
          'program',
        ]);
        const program = await session.startPlain();
        const caches = new Caches();
        const cache = createModuleCache(caches);
        try {
          const modules = await cache.modules(program.pid);
          const [main] = modules;
          assert.equal(main!.path, session.path('program'));
          assert.equal(main!.kind, 'executable');
          assert.equal(main!.positionIndependent, mode === '-pie');
          assert.equal(main!.rebuilt, false);
          assert.ok(modules.some(({ path, kind }) => kind === 'shared-library' && /libc\.so/.test(path)));
          for (const module of modules.filter(({ elf }) => elf.symbols().length > 0)) {
            const symbol = module.elf.symbols().find(({ type, size }) => type === STT_FUNC && size > 8)!;
            const live = await readMemory(program.pid, module.bias + symbol.value, symbol.size);
            assert.deepEqual(live, module.elf.loaded(symbol.value, symbol.size));
          }
          const place = findGap(x86_64, await readAddressSpace(program.pid), main!, 4096)!;
          assert.ok(Math.abs(place - main!.start) < 2 * GIB);
          assert.equal((await cache.modules(program.pid))[0]!.elf, main!.elf);
        } finally {
          caches.clear();
        }
      }),
    );
  }

  it(
    'show that the program was built again, and still give the one that runs',
    inSession(async (session) => {
      const source = (text: string) =>
        `#include <stdio.h>\nint main(void) { puts("${text}"); fflush(stdout); getchar(); return 0; }\n`;
      session.write('main.c', source('one'));
      await session.run('gcc', ['-g', 'main.c', '-o', 'program']);
      const program = await session.startPlain();
      const caches = new Caches();
      const cache = createModuleCache(caches);
      try {
        const before = cache.executable(program.pid);
        assert.equal(before.rebuilt, false);
        await session.run('gcc', ['-g', 'main.c', '-o', 'program']);
        assert.equal(cache.executable(program.pid).rebuilt, false, 'the same build id is the same build');
        session.write('main.c', source('two'));
        await session.run('gcc', ['-g', 'main.c', '-o', 'program']);
        const after = cache.executable(program.pid);
        assert.equal(after.rebuilt, true);
        assert.equal(after.elf.buildId(), before.elf.buildId());
        assert.notEqual(ElfFile.open(session.path('program')).buildId(), before.elf.buildId());
      } finally {
        caches.clear();
      }
    }),
  );

  it('of a process that is not there are an error that says so', async () => {
    const isGone = (error: unknown) => error instanceof HotPatchError && error.code === 'process-gone';
    await assert.rejects(createModuleCache(new Caches()).modules(2 ** 22 + 1), isGone);
    await assert.rejects(readMemory(2 ** 22 + 1, 0x1000, 1), isGone);
  });
});
