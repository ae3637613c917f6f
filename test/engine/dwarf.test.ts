// Reads the debug information that real compilers write: units, files, functions and producers, in linked modules
// and in relocatable objects, in DWARF 4 and 5 and with sections compressed, split off or in type units.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unitWithCode } from '../../extension/engine/dwarf/code_ranges';
import { codeLines, functionLines } from '../../extension/engine/dwarf/functions';
import { parseProducer } from '../../extension/engine/dwarf/producer';
import { readUnits, sourceFilesOf, unitsIncluding, unitsOf } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import { HotPatchError } from '../../extension/engine/model/errors';

const MAIN = `#include "lib/shape.h"
int shape_area(struct shape *s);

static int twice(int a) {
  int b = a;
  return b + a;
}
int main(int argc, char **argv) {
  struct shape s = {argc, 2};
  return twice(shape_area(&s)) + half(argc);
}
`;
const LIBRARY = `#include "shape.h"
int shape_area(struct shape *s) {
  return s->w * s->h;
}
`;
const HEADER = `struct shape {
  int w, h;
};
static inline int half(int a) {
  return a / 2;
}
`;

interface Variant {
  title: string;
  compiler: string;
  flags: string[];
}
const VARIANTS: Variant[] = [
  { title: 'gcc, DWARF 5', compiler: 'gcc', flags: ['-gdwarf-5'] },
  { title: 'gcc -O2, DWARF 4', compiler: 'gcc', flags: ['-gdwarf-4', '-O2'] },
  { title: 'gcc, compressed', compiler: 'gcc', flags: ['-gz'] },
  { title: 'gcc, 64-bit DWARF', compiler: 'gcc', flags: ['-gdwarf64'] },
  { title: 'gcc, split, DWARF 5', compiler: 'gcc', flags: ['-gsplit-dwarf', '-gdwarf-5'] },
  { title: 'gcc, split, DWARF 4', compiler: 'gcc', flags: ['-gsplit-dwarf', '-gdwarf-4'] },
  { title: 'gcc, type units', compiler: 'gcc', flags: ['-fdebug-types-section', '-gdwarf-4'] },
  ...(spawnSync('clang', ['--version']).status === 0
    ? [
        { title: 'clang, DWARF 5', compiler: 'clang', flags: ['-gdwarf-5'] },
        { title: 'clang, DWARF 4', compiler: 'clang', flags: ['-gdwarf-4'] },
        { title: 'clang, split', compiler: 'clang', flags: ['-gsplit-dwarf', '-gdwarf-5'] },
      ]
    : []),
];

describe('debug information', () => {
  let directory: string;
  let main: string;
  let library: string;
  let header: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hot-patch-dwarf-'));
    mkdirSync(join(directory, 'lib'));
    main = join(directory, 'main.c');
    library = join(directory, 'lib', 'shape.c');
    header = join(directory, 'lib', 'shape.h');
    writeFileSync(main, MAIN);
    writeFileSync(library, LIBRARY);
    writeFileSync(header, HEADER);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function compile(compiler: string, ...args: string[]): void {
    execFileSync(compiler, ['-g', ...args], { cwd: directory, stdio: 'pipe' });
  }
  const load = (name: string): ElfFile => {
    const path = join(directory, name);
    return ElfFile.parse(path, readFileSync(path));
  };
  const paths = (matches: { unit: { path: string } }[]): string[] =>
    matches.map(({ unit }) => unit.path).sort();

  for (const { title, compiler, flags } of VARIANTS) {
    describe(title, () => {
      it('names the units of a module and the files of each', () => {
        compile(compiler, ...flags, 'main.c', 'lib/shape.c', '-o', 'program');
        const elf = load('program');
        const units = readUnits(elf).filter(({ path }) => path.startsWith(directory));
        assert.deepEqual(units.map(({ path }) => path).sort(), [library, main]);
        for (const unit of units) {
          assert.equal(unit.compDir, directory);
          if (unit.dwoName === undefined) {
            const producer = parseProducer(unit.producer);
            assert.equal(producer.compiler, compiler);
            assert.ok(producer.major > 0);
          }
          assert.ok(sourceFilesOf(elf, unit).includes(header), sourceFilesOf(elf, unit).join());
        }
        assert.deepEqual(paths(unitsOf(elf, main)), [main]);
        assert.deepEqual(paths(unitsIncluding(elf, header)), [library, main]);
        assert.deepEqual(unitsIncluding(elf, join(directory, 'lib', 'other.h')), []);
        assert.deepEqual(unitsOf(elf, join(directory, 'other.c')), []);
      });

      it('says which unit brought the code at an address', () => {
        const own = compiler === 'gcc' ? ['-ffunction-sections'] : [];
        compile(compiler, ...flags, ...own, 'main.c', 'lib/shape.c', '-o', 'program');
        const elf = load('program');
        const symbols = new Map(elf.symbols().map((symbol) => [symbol.name, symbol.value]));
        for (const [name, source] of [
          ['main', main],
          ['twice', main],
          ['half', main],
          ['shape_area', library],
        ] as const)
          if (symbols.has(name)) assert.equal(unitWithCode(elf, symbols.get(name)!)?.path, source, name);
        assert.equal(unitWithCode(elf, symbols.get('_start')!), undefined);
      });

      for (const kind of ['module', 'object'])
        it(`knows where functions are: ${kind}`, () => {
          compile(compiler, ...flags, '-ffunction-sections', '-c', 'main.c', '-o', 'main.o');
          compile(compiler, ...flags, '-c', 'lib/shape.c', '-o', 'shape.o');
          compile(compiler, 'main.o', 'shape.o', '-o', 'program');
          const elf = load(kind === 'module' ? 'program' : 'main.o');
          const [match] = unitsOf(elf, main);
          assert.ok(match);
          const functions = functionLines(elf, match.unit);
          const symbols = new Map(elf.symbols().map((symbol) => [symbol.name, symbol]));
          const place = (name: string): unknown => {
            const found = functions.find(({ symbol, address }) => symbol === name && address !== undefined);
            return found ?? functions.find(({ symbol }) => symbol === name);
          };
          const code = (name: string): object => {
            const symbol = symbols.get(name);
            return { address: symbol?.value, ...(kind === 'object' ? { section: symbol?.section } : {}) };
          };
          assert.deepEqual(place('main'), {
            symbol: 'main',
            name: 'main',
            file: main,
            line: 8,
            ...code('main'),
          });
          const twice = { symbol: 'twice', name: 'twice', file: main, line: 4 };
          const half = { symbol: 'half', name: 'half', file: header, line: 4 };
          if (flags.includes('-O2')) assert.deepEqual([place('twice'), place('half')], [twice, half]);
          else {
            assert.deepEqual(place('twice'), { ...twice, ...code('twice') });
            assert.deepEqual(place('half'), { ...half, ...code('half') });
          }
        });
    });
  }

  describe('matching paths', () => {
    it('sees through a symbolic link, to the build directory and to the source', () => {
      symlinkSync(directory, `${directory}-link`);
      try {
        execFileSync('gcc', ['-g', '-c', 'main.c', '-o', 'main.o'], { cwd: `${directory}-link` });
        const elf = load('main.o');
        const there = join(`${directory}-link`, 'main.c');
        assert.equal(unitsOf(elf, main)[0]?.match, 'path');
        assert.equal(unitsOf(elf, there)[0]?.match, 'path');
        assert.equal(unitsIncluding(elf, join(`${directory}-link`, 'lib', 'shape.h'))[0]?.match, 'path');
      } finally {
        rmSync(`${directory}-link`);
      }
    });
    it('finds a unit that was compiled under a relative name with ..', () => {
      mkdirSync(join(directory, 'build'));
      execFileSync('gcc', ['-g', '-c', '../lib/../main.c', '-o', '../main.o'], {
        cwd: join(directory, 'build'),
      });
      const [match] = unitsOf(load('main.o'), main);
      assert.equal(match?.unit.path, main);
    });
    for (const option of ['-fdebug-prefix-map', '-ffile-prefix-map'])
      it(`falls back to the end of the path under ${option}, and says so`, () => {
        compile('gcc', `${option}=${directory}=/nowhere/else`, '-c', library, '-o', 'shape.o');
        const elf = load('shape.o');
        const [match] = unitsOf(elf, library);
        assert.deepEqual([match?.match, match?.components], ['suffix', 2]);
        assert.equal(unitsIncluding(elf, header)[0]?.match, 'suffix');
      });
    it('does not take a file of the same name in another directory for the same', () => {
      compile('gcc', '-c', 'main.c', '-o', 'main.o');
      assert.deepEqual(unitsOf(load('main.o'), join(directory, 'lib', 'main.c')), []);
    });
    it('returns every unit that one source was compiled into', () => {
      compile('gcc', '-c', 'lib/shape.c', '-o', 'one.o');
      compile('gcc', '-c', '-Dshape_area=other_area', 'lib/shape.c', '-o', 'two.o');
      compile('gcc', 'main.c', 'one.o', 'two.o', '-o', 'program');
      assert.deepEqual(paths(unitsOf(load('program'), library)), [library, library]);
    });
  });

  describe('files that cannot be read', () => {
    it('has no units without debug information', () => {
      compile('gcc', '-g0', 'main.c', 'lib/shape.c', '-o', 'program');
      assert.deepEqual(unitsOf(load('program'), main), []);
    });
    it('names the method when sections are compressed with one that is not supported', () => {
      compile('gcc', '-gz', '-c', 'main.c', '-o', 'main.o');
      const path = join(directory, 'main.o');
      const bytes = readFileSync(path);
      const info = ElfFile.parse(path, Buffer.from(bytes)).section('.debug_info');
      assert.ok(info);
      bytes.writeUInt32LE(77, info.offset);
      assert.throws(
        () => readUnits(ElfFile.parse(path, bytes)),
        (error) => {
          assert.ok(error instanceof HotPatchError);
          assert.match(error.message, /compressed with method 77/);
          return error.code === 'unsupported-object';
        },
      );
    });
    it('reports a unit of a DWARF version of the future', () => {
      compile('gcc', '-gz=none', '-c', 'main.c', '-o', 'main.o');
      const path = join(directory, 'main.o');
      const bytes = readFileSync(path);
      const info = ElfFile.parse(path, Buffer.from(bytes)).section('.debug_info');
      assert.ok(info);
      bytes.writeUInt16LE(9, info.offset + 4);
      assert.throws(() => readUnits(ElfFile.parse(path, bytes)), /DWARF version 9, which is not supported/);
    });
  });

  describe('files that end too early', () => {
    it('reports where a unit, its functions or its files run beyond their section', () => {
      compile('gcc', '-gz=none', '-c', 'main.c', '-o', 'main.o');
      const path = join(directory, 'main.o');
      const bytes = readFileSync(path);
      const debug = load('main.o').sections.filter(({ name }) => /^\.debug_(info|abbrev|line)$/.test(name));
      assert.equal(debug.length, 3);
      for (const { offset, size } of debug)
        for (let at = offset; at < offset + size; at++) {
          const damaged = Buffer.from(bytes);
          damaged.fill(0xff, at, Math.min(at + 3, offset + size));
          try {
            const elf = ElfFile.parse(path, damaged);
            for (const unit of readUnits(elf)) {
              functionLines(elf, unit);
              codeLines(elf, unit);
            }
            unitsIncluding(elf, header);
          } catch (error) {
            if (!(error instanceof HotPatchError)) throw error;
          }
        }
    });
  });

  describe('producers', () => {
    const gcc = (options: string): ReturnType<typeof parseProducer> =>
      parseProducer(`GNU C17 12.2.0 -mtune=generic -march=x86-64 -g ${options} -fasynchronous-unwind-tables`);

    it('reads compiler, version and the last optimisation option', () => {
      assert.deepEqual(
        [gcc('-O2 -O0'), gcc('-O0 -Og'), gcc('-O'), gcc('-O7'), gcc('')].map(
          ({ optimisation }) => optimisation,
        ),
        ['0', 'g', '1', '3', '0'],
      );
      const clang = parseProducer('Debian clang version 14.0.6');
      assert.deepEqual([clang.compiler, clang.version, clang.optimisation], ['clang', '14.0.6', undefined]);
      assert.equal(parseProducer('GNU C++20 14.1.0 -O3').version, '14.1.0');
      assert.equal(parseProducer('rustc version 1.80.0').compiler, 'other');
      assert.equal(parseProducer('').compiler, 'other');
    });
    it('knows when callers may rely on the registers of their callees', () => {
      const may = (options: string): boolean => gcc(options).mayUseIpaRa;
      assert.deepEqual([may('-O1'), may('-O2'), may('-Os'), may('-O3 -flto')], [true, true, true, true]);
      assert.deepEqual([may(''), may('-O0'), may('-O2 -fno-ipa-ra')], [false, false, false]);
      assert.deepEqual([may('-O2 -flive-patching=inline-clone'), may('-O2 -pg')], [false, false]);
      assert.equal(may('-O2 -flive-patching=inline-clone -fno-live-patching'), true);
      assert.equal(parseProducer('GNU C11 4.9.2 -O2').mayUseIpaRa, false);
      assert.equal(parseProducer('clang version 16.0.0').mayUseIpaRa, false);
    });
    it('recognises link-time optimisation', () => {
      assert.equal(parseProducer('GNU GIMPLE 12.2.0 -O2 -fltrans').lto, true);
      assert.equal(gcc('-O2 -flto').lto, true);
      assert.equal(gcc('-O2').lto, false);
      const clang = (options: string): boolean => parseProducer(`clang version 19.1.7 clang ${options}`).lto;
      assert.deepEqual([clang('-flto=thin -c'), clang('-flto=thin -fno-lto -c')], [true, false]);
    });
  });
});
