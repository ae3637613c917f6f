// A function whose parameters or result change is another function, which only those call that are saved with it. What is
// edited later is that one, wherever its callers are. Real compilers and processes.
import { strict as assert } from 'node:assert';
import { inSession, type Session, Unit } from '../support/session';

const LOOP = `#include <stdio.h>
long ask(long n);
int main() {
  char line[64];
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) { long n = 0; sscanf(line, "%ld", &n); printf("%ld\\n", ask(n)); fflush(stdout); }
}
`;
const CALLER = `#include "value.h"
long ask(long n) { return value(n); }
`;
const UNIT = `#include "value.h"
int noise;
int value(int n) { noise += 3; return n + 1; }
`;

interface Kind {
  compiler: string;
  language: 'c' | 'cc';
  flags: string[];
  /** The caller and the unit are a library. */
  isLibrary?: boolean;
}

interface Started {
  ask: (n: number) => Promise<number>;
  /** Edits files, by the names of the three with the ending of the language. */
  edit: (texts: { header?: Edit; caller?: Edit; unit?: Edit }) => void;
  caller: string;
  unit: string;
}
type Edit = [from: string, to: string];

async function start(session: Session, { compiler, language, flags, isLibrary }: Kind): Promise<Started> {
  const [main, caller, unit] = ['main', 'caller', 'value'].map((name) => `${name}.${language}`);
  session.write('value.h', 'int value(int n);\n');
  session.write(main!, LOOP);
  session.write(caller!, CALLER);
  session.write(unit!, UNIT);
  if (isLibrary)
    await session.buildWithLibrary(
      { sources: [caller!, unit!], flags, compiler },
      { sources: [main!], flags, compiler },
    );
  else await session.build({ sources: [main!, caller!, unit!], flags, compiler });
  const program = await session.start();
  return {
    ask: async (n) => Number(await program.ask(String(n))),
    edit: (texts) => {
      const files = { header: 'value.h', caller: caller!, unit: unit! };
      for (const [file, [from, to]] of Object.entries(texts))
        session.edit(files[file as keyof typeof files], from, to);
    },
    caller: caller!,
    unit: unit!,
  };
}

const KINDS: readonly Kind[] = [
  ...(['gcc', 'clang'] as const).flatMap((compiler): Kind[] =>
    ['-O0', '-O2'].flatMap((level): Kind[] => [
      { compiler, language: 'c', flags: [level, '-g'] },
      { compiler, language: 'c', flags: [level, '-g'], isLibrary: true },
      { compiler: compiler.replace('gcc', 'g') + '++', language: 'cc', flags: [level, '-g'] },
    ]),
  ),
  { compiler: 'gcc', language: 'c', flags: ['-O2', '-g', '-fno-plt'], isLibrary: true },
];

describe('a function of another signature', () => {
  for (const kind of KINDS) {
    const name = `${kind.compiler} ${kind.flags.join(' ')}${kind.isLibrary ? ', in a library' : ''}`;

    it(
      `is edited again in its own file alone: ${name}`,
      inSession(async (session) => {
        const { ask, edit, caller, unit } = await start(session, kind);
        assert.equal(await ask(7), 8);
        edit({
          header: ['int value(int n)', 'long value(int n, int m)'],
          caller: ['value(n)', 'value(n, 5)'],
          unit: [
            'int value(int n) { noise += 3; return n + 1;',
            'long value(int n, int m) { noise += 3; return n + m;',
          ],
        });
        await session.patch([caller, unit]);
        assert.equal(await ask(7), 12);
        await session.patch(unit, 'unchanged');
        edit({ unit: ['n + m', 'n * m'] });
        await session.patch(unit);
        assert.equal(await ask(7), 35);
        edit({ unit: ['n * m', 'n * m + 1'] });
        await session.patch(unit);
        assert.equal(await ask(7), 36);
        edit({ unit: ['n * m + 1', 'n + m'] });
        await session.patch(unit, 'reverted');
        assert.equal(await ask(7), 12);
        edit({
          header: ['long value(int n, int m)', 'int value(int n)'],
          caller: ['value(n, 5)', 'value(n)'],
          unit: [
            'long value(int n, int m) { noise += 3; return n + m;',
            'int value(int n) { noise += 3; return n + 1;',
          ],
        });
        await session.patch([caller, unit], 'reverted');
        assert.equal(await ask(7), 8);
      }),
    );

    it(
      `that is called by the same code as before is edited and undone: ${name}`,
      inSession(async (session) => {
        const { ask, edit, caller, unit } = await start(session, kind);
        edit({
          header: ['int n', 'unsigned n'],
          unit: ['(int n) { noise += 3; return n + 1;', '(unsigned n) { noise += 3; return n + 2;'],
        });
        await session.patch([caller, unit]);
        assert.equal(await ask(7), 9);
        edit({ unit: ['n + 2', 'n + 3'] });
        await session.patch(unit);
        assert.equal(await ask(7), 10);
        edit({
          header: ['unsigned n', 'int n'],
          unit: ['(unsigned n) { noise += 3; return n + 3;', '(int n) { noise += 3; return n + 4;'],
        });
        await session.patch([caller, unit]);
        assert.equal(await ask(7), 11);
        await session.patch([caller, unit], 'unchanged');
      }),
    );

    it(
      `is refused where nothing in the save calls it: ${name}`,
      inSession(async (session) => {
        const { ask, edit, unit } = await start(session, kind);
        edit({
          header: ['int value', 'long value'],
          unit: [
            'int value(int n) { noise += 3; return n + 1;',
            'long value(int n) { noise += 3; return n + 2000000000000;',
          ],
        });
        const { refusals } = await session.refused(unit, 'callers-elsewhere');
        assert.match(refusals[0]!.message, /^value.* has another signature/);
        assert.equal(await ask(7), 8);
      }),
    );
  }

  it(
    'of which the program keeps the address is refused',
    inSession(async (session) => {
      const source =
        'static int part(int n) { return n + 1; }\nint (*kept)(int) = part;\nlong value(long n) { return kept(n); }\n';
      const unit = await Unit.start(session, source, { language: 'c', flags: ['-O0', '-g'] });
      const edited = [
        'static int part(int n) { return n + 1',
        'static long part(int n) { return n + 2',
      ] as const;
      await unit.editAndBeRefused(...edited, 'callers-elsewhere');
    }),
  );
});
