// A type that is laid out otherwise changes all that consist of it. The refusal names every one of them that the process
// has, in whichever unit, and describes both layouts of each. With real compilers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unitsOf } from '../../extension/engine/dwarf/units';
import { ElfFile } from '../../extension/engine/elf/file';
import type { Problem } from '../../extension/engine/model/result';
import { compareLayouts } from '../../extension/engine/types/layout';
import { type Build, BUILDS, layoutCases } from '../support/layout_cases';

const HEADER = 'struct In { int a;\n};\n';
const EDITED = 'struct In { int a;\nint b; };\n';

describe('a refusal names the types that consist of the one that changed', () => {
  const { directoryOf, build, compare } = layoutCases();

  for (const options of BUILDS) {
    const problemOf = (language: 'c' | 'cc', text: string): Problem => {
      const { problems } = compare(build(HEADER + text, EDITED + text, options, { language }));
      assert.equal(problems.length, 1, JSON.stringify(problems));
      return problems[0]!;
    };

    it(`members, arrays, unions, and what has those (${options.title}, C)`, () => {
      const { message, concerned, layouts } = problemOf(
        'c',
        `typedef struct In Alias;
         struct Has { long x; Alias in; };
         struct Row { const struct In row[3]; };
         union Either { struct In in; double d; };
         struct Nested { struct { int n; union { struct In in; } u; } part; };
         struct Outer { int n; struct Row rows[2]; };
         struct Points { struct In *in; };
         struct Has has; struct Row rows; union Either either; struct Nested nested; struct Outer outer; struct Points points;
         int use(void) { return sizeof has + sizeof rows + sizeof either + sizeof nested + outer.n + (points.in != 0); }`,
      );
      assert.deepEqual(concerned, ['Either', 'Has', 'Nested', 'Outer', 'Row']);
      assert.match(
        message,
        /`struct In` differs .*: `union Either` \(member `in`\), `struct Has` \(member `in`\), `struct Nested` \(member `part\.u\.in`\), `struct Outer` \(member `rows`\), `struct Row` \(member `row`\)\.$/,
      );
      assert.match(layouts!.before, /^struct In: 4 bytes\n[^]*\nstruct Outer: 28 bytes\n/);
      assert.match(layouts!.after, /^struct In: 8 bytes\n[^]*\nstruct Outer: 52 bytes\n/);
      assert.equal(layouts!.type, 'In');
    });

    it(`base classes, also virtual ones, and templates (${options.title}, C++)`, () => {
      const { message, concerned } = problemOf(
        'cc',
        `namespace shop { struct Derived : In { long y; Derived(); }; }
         struct Virtual : virtual In { long z; Virtual(); };
         struct Last : shop::Derived { int w; Last(); };
         template <class T> struct Box { T t; };
         shop::Derived::Derived() : y(1) {} Virtual::Virtual() : z(1) {} Last::Last() : w(1) {}
         Box<In> box; Last last; Virtual one;
         int use() { return sizeof box + last.w + one.z; }`,
      );
      assert.deepEqual([...concerned!].sort(), ['Box<In>', 'Last', 'Virtual', 'shop::Derived']);
      assert.match(message, /`struct shop::Derived` \(base class\)/);
    });

    it(`those of other units, which were not compiled (${options.title})`, () => {
      const problem = otherUnits(directoryOf(), options);
      assert.deepEqual(problem.concerned, ['Car', 'Wheel']);
      assert.match(problem.message, /`struct Car` \(member `wheels`\), `struct Wheel` \(member `in`\)/);
      assert.match(problem.layouts!.before, /struct Car: 20 bytes\n/);
      assert.match(
        problem.layouts!.after,
        /struct Car: not known, since no unit that has it was compiled\n[^]*struct Wheel: 12 bytes\n/,
      );
    });

    it(`none, where none has it (${options.title})`, () => {
      const problem = problemOf('c', 'struct In in; int use(void) { return sizeof in; }');
      assert.equal(problem.concerned, undefined);
      assert.match(problem.message, /, was 4\.$/);
    });
  }
});

/** A module of two units, of which the first is compiled with an edited header. */
function otherUnits(directory: string, { c, flags, title }: Build): Problem {
  const folder = join(directory, title.replaceAll(/\W+/g, '_'));
  mkdirSync(folder);
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const run = (...args: string[]) =>
    execFileSync(c, ['-g', '-fPIC', '-w', ...flags, ...args], { cwd: folder });
  write('in.h', HEADER);
  write(
    'one.c',
    '#include "in.h"\nstruct Wheel { struct In in; int n; } wheel;\nint one(void) { return sizeof wheel; }\n',
  );
  write(
    'two.c',
    '#include "in.h"\nstruct Wheel { struct In in; int n; };\nstruct Car { int n; struct Wheel wheels[2]; } car;\nint two(void) { return sizeof car; }\n',
  );
  run('-shared', '-o', 'live.so', join(folder, 'one.c'), join(folder, 'two.c'));
  write('in.h', EDITED);
  run('-c', '-o', 'fresh.o', join(folder, 'one.c'));
  const elf = ElfFile.open(join(folder, 'live.so'));
  const units = unitsOf(elf, join(folder, 'one.c')).map(({ unit }) => unit);
  const { problems } = compareLayouts({ elf, units }, { elf: ElfFile.open(join(folder, 'fresh.o')) });
  assert.equal(problems.length, 1, JSON.stringify(problems));
  return problems[0]!;
}
