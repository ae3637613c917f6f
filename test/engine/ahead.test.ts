// Compiled ahead of the save: what is typed is compiled while it is typed, and a save of that text is live without a
// compiler. Nothing of it reaches the process before the save.
import { strict as assert } from 'node:assert';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine } from '../../extension/engine/engine';
import type { AheadReport, PatchResult } from '../../extension/engine/model/result';
import { type Built, build, EngineWorld, type Observed, type ProgramPlan } from '../support/live_program';
import { dist } from '../support/paths';
import { until } from '../support/until';

const HEADER = 'static inline long scaled(long n) { return n * 10; }\n';
const C = `#include "scale.h"
static long calls = 100;
static long step(long n) { calls++; return scaled(n) + 1; }
long value(long n) { return step(n) + calls; }
long other(long n) { return value(n) - 1; }
`;
const CPLUSPLUS = `#include <string>
#include "scale.h"
namespace { long calls = 100; struct Shape { virtual long area(long n) const { return n; } }; }
static long step(long n) { calls++; return scaled(Shape().area(n)) + 1; }
extern "C" long value(long n) { return step(n) + calls; }
extern "C" long other(long n) { return value(n) - std::string("x").size(); }
`;

/** Holds the whole unit up as long as there is a file `hold`, and what is compiled of a text for first light as long as
 * there is `hold-parts`. Counts in `reduced` how often a part was compiled. */
const wrapper = (compiler: string) => `#!/bin/sh
here=$(dirname "$0")
case " $* " in
  *"-header "*) ;;
  *" -w "*) echo >> "$here/reduced"; while [ -e "$here/hold-parts" ]; do sleep 0.05; done ;;
  *" -ffunction-sections "*) while [ -e "$here/hold" ]; do sleep 0.05; done ;;
esac
exec ${compiler} "$@"
`;

interface Case {
  title: string;
  file: string;
  text: string;
  compiler: string;
  flags: string[];
}
const cases: Case[] = [
  { title: 'gcc -O0', file: 'unit.c', text: C, compiler: 'gcc', flags: ['-O0'] },
  { title: 'g++ -O2', file: 'unit.cc', text: CPLUSPLUS, compiler: 'g++', flags: ['-O2'] },
  { title: 'clang++ -O0', file: 'unit.cc', text: CPLUSPLUS, compiler: 'clang++', flags: ['-O0'] },
];

class Editor {
  private constructor(
    readonly world: EngineWorld,
    private readonly kind: Case,
    private readonly built: Built,
    readonly live: Observed,
  ) {}

  static async open(kind: Case): Promise<Editor> {
    const world = new EngineWorld();
    const directory = world.newDirectory();
    const compiler = join(directory, kind.compiler);
    writeFileSync(compiler, wrapper(kind.compiler));
    chmodSync(compiler, 0o755);
    const plan: ProgramPlan = {
      compilers: kind.file.endsWith('.c') ? { c: compiler, cxx: 'g++' } : { c: 'gcc', cxx: compiler },
      flags: ['-g', ...kind.flags],
      module: 'executable',
      units: [{ file: kind.file }],
      observers: [{ name: 'value', returns: 'number' }],
    };
    const built = await build(directory, plan, { [kind.file]: kind.text, 'scale.h': HEADER });
    const editor = new Editor(world, kind, built, await world.startLive(built));
    // As a window looks at a file that is opened.
    const [report] = await world.engine.check([editor.path(kind.file)], editor.target);
    assert.equal(report?.verdict, 'ready', JSON.stringify(report));
    return editor;
  }

  path(name: string): string {
    return join(this.built.directory, name);
  }

  private get target() {
    return { kind: 'pid' as const, pids: [this.live.pid] };
  }

  type(text: string): Promise<AheadReport> {
    return this.world.engine.ahead({ file: this.path(this.kind.file), text, target: this.target });
  }

  /** @param whenLive while the whole unit is still being compiled */
  async save(text: string, whenLive: () => Promise<void>): Promise<PatchResult> {
    const hold = this.path('hold');
    writeFileSync(hold, '');
    let seen: Promise<void> | undefined;
    const file = this.path(this.kind.file);
    writeFileSync(file, text);
    const result = await this.world.engine.patch({
      files: [file],
      target: this.target,
      firstLight: true,
      onProgress: ({ live }) => {
        if (live) seen ??= whenLive().finally(() => rmSync(hold));
      },
    });
    await seen;
    return result;
  }

  /** Another process of the same program. */
  again(): Promise<Observed> {
    return this.world.startLive(this.built);
  }

  /** What another window does. */
  async elsewhere<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = createEngine({
      temporaryDirectory: this.world.newDirectory(),
      runtimeDirectory: join(dist, 'native', 'lib'),
    });
    try {
      return await work(engine);
    } finally {
      await engine.dispose();
    }
  }

  async value(n: number): Promise<number> {
    return parseInt(await this.live.observe('value', [n]));
  }

  /** The preambles that the next save can use were compiled. */
  async prepared(): Promise<void> {
    await until(
      () => this.world.preambles(),
      (count) => count > 0,
    );
  }

  compiledParts(): number {
    const path = this.path('reduced');
    return existsSync(path) ? readFileSync(path, 'utf8').length : 0;
  }
}

const inEditor = (kind: Case, test: (editor: Editor) => Promise<void>) => async () => {
  const editor = await Editor.open(kind);
  try {
    await test(editor);
  } finally {
    await editor.world.dispose();
  }
};

for (const kind of cases)
  describe(`a text that is compiled while it is typed (${kind.title})`, () => {
    const edited = kind.text.replace(/ \+ 1;/, ' + 5;');

    it(
      'is live at the save before any compiler has run, and confirmed behind',
      inEditor(kind, async (editor) => {
        assert.equal(await editor.value(2), 21 + 101);
        const report = await editor.type(edited);
        assert.equal(report.outcome, 'ready', report.reason);
        assert.ok(report.changed.some(({ name }) => /^(step|value)\b/.test(name)));
        assert.equal(await editor.value(2), 21 + 102, 'nothing of it runs before the save');
        const parts = editor.compiledParts();
        assert.ok(parts > 0);
        const result = await editor.save(edited, async () => {
          assert.equal(editor.compiledParts(), parts);
          assert.equal(await editor.value(2), 25 + 103);
        });
        assert.equal(result.outcome, 'patched');
        assert.equal(result.firstLight?.outcome, 'confirmed');
        assert.equal(await editor.value(2), 25 + 104);
        // The text that ran before is known as well, and so is the one after.
        const again = edited.replace(' + 5;', ' + 7;');
        assert.equal((await editor.type(again)).outcome, 'ready');
        assert.equal((await editor.type(edited)).outcome, 'unchanged');
      }),
    );

    it(
      'is not what is saved when another text is written, or a header was',
      inEditor(kind, async (editor) => {
        assert.equal((await editor.type(edited)).outcome, 'ready');
        const other = kind.text.replace(/ \+ 1;/, ' + 9;');
        const result = await editor.save(other, async () => assert.equal(await editor.value(2), 29 + 101));
        assert.equal(result.firstLight?.outcome, 'confirmed');
        const third = kind.text.replace(/ \+ 1;/, ' + 3;');
        assert.equal((await editor.type(third)).outcome, 'ready');
        writeFileSync(editor.path('scale.h'), HEADER.replace('* 10', '* 100'));
        writeFileSync(editor.path(kind.file), third);
        const exact = await editor.world.engine.patch({
          files: [editor.path(kind.file)],
          target: { kind: 'pid', pids: [editor.live.pid] },
          firstLight: true,
        });
        assert.equal(exact.firstLight, undefined);
        assert.equal(await editor.value(2), 203 + 102);
      }),
    );
  });

describe('a text of which no part will do', () => {
  const kind: Case = {
    title: 'clang++ -O2',
    file: 'unit.cc',
    text: CPLUSPLUS,
    compiler: 'clang++',
    flags: ['-O2'],
  };

  it(
    'is compiled whole ahead, and live at the save before any compiler has run',
    inEditor(kind, async (editor) => {
      const edited = kind.text.replace(/ \+ 1;/, ' + 5;');
      assert.equal(await editor.value(2), 21 + 101);
      const report = await editor.type(edited);
      assert.equal(report.outcome, 'ready', report.reason);
      const parts = editor.compiledParts();
      const result = await editor.save(edited, async () => {
        assert.equal(editor.compiledParts(), parts);
        assert.equal(await editor.value(2), 25 + 102);
      });
      assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
      // A new function and a new variable are more than bodies.
      const more = edited
        .replace(
          'static long step',
          'static long extra = 1000;\nstatic long plus() { return ++extra; }\nstatic long step',
        )
        .replace(' + 5;', ' + plus();');
      assert.equal((await editor.type(more)).outcome, 'ready');
      const second = await editor.save(more, async () => assert.equal(await editor.value(2), 1021 + 103));
      assert.equal(second.firstLight?.outcome, 'confirmed', JSON.stringify(second));
      assert.equal(await editor.value(2), 1022 + 104);
      assert.equal((await editor.type(kind.text)).outcome, 'ready');
      const back = await editor.save(kind.text, async () => assert.equal(await editor.value(2), 21 + 105));
      assert.equal(back.outcome, 'reverted', JSON.stringify(back));
      assert.equal(await editor.value(2), 21 + 106);
    }),
  );

  it(
    'is compiled anew at the save when a header that it includes for the first time was written since',
    inEditor(kind, async (editor) => {
      writeFileSync(editor.path('more.h'), '#define MORE 5\n');
      const edited = `#include "more.h"\n${kind.text.replace(/ \+ 1;/, ' + MORE;')}`;
      const report = await editor.type(edited);
      assert.equal(report.outcome, 'ready', report.reason);
      writeFileSync(editor.path('more.h'), '#define MORE 50 \n');
      writeFileSync(editor.path(kind.file), edited);
      let wasLive = false;
      const result = await editor.world.engine.patch({
        files: [editor.path(kind.file)],
        target: { kind: 'pid', pids: [editor.live.pid] },
        firstLight: true,
        onProgress: ({ live }) => (wasLive ||= live !== undefined),
      });
      assert.equal(wasLive, false, 'nothing of the header as it was may run');
      assert.equal(result.firstLight, undefined);
      assert.equal(await editor.value(2), 70 + 101);
    }),
  );

  it(
    'is live over its preamble while it is compiled as the build does it, whatever was edited',
    inEditor(kind, async (editor) => {
      await editor.prepared();
      const first = kind.text.replace(' + 1;', ' + 5;');
      const result = await editor.save(first, async () => assert.equal(await editor.value(2), 25 + 101));
      assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
      assert.equal(await editor.value(2), 25 + 102);
      const more = first
        .replace(
          'static long step',
          'static long plus() { static long sum = 1000; return ++sum; }\nstatic long step',
        )
        .replace(' + 5;', ' + plus();');
      const second = await editor.save(more, async () => assert.equal(await editor.value(2), 1021 + 103));
      assert.equal(second.firstLight?.outcome, 'confirmed', JSON.stringify(second));
      assert.equal(await editor.value(2), 1022 + 104);
      const back = await editor.save(kind.text, async () => assert.equal(await editor.value(2), 21 + 105));
      assert.equal(back.outcome, 'reverted', JSON.stringify(back));
      assert.equal(await editor.value(2), 21 + 106);
    }),
  );

  it(
    'does not hold its save up when it is compiled as fast without its preamble',
    inEditor(kind, async (editor) => {
      await editor.prepared();
      writeFileSync(editor.path('hold-parts'), '');
      writeFileSync(editor.path(kind.file), kind.text.replace(' + 1;', ' + 5;'));
      const request = {
        files: [editor.path(kind.file)],
        target: { kind: 'pid' as const, pids: [editor.live.pid] },
        firstLight: true,
      };
      const result = await editor.world.engine.patch(request);
      assert.equal(result.outcome, 'patched', JSON.stringify(result));
      assert.equal(result.firstLight, undefined);
      assert.equal(await editor.value(2), 25 + 101);
      const parts = editor.compiledParts();
      await editor.prepared();
      writeFileSync(editor.path(kind.file), kind.text);
      const next = await editor.world.engine.patch(request);
      assert.equal(next.outcome, 'reverted', JSON.stringify(next));
      assert.equal(editor.compiledParts(), parts, 'it was tried again at once');
    }),
  );

  it(
    'is said to be refused before the save, which is refused for the same reason',
    inEditor(cases[0]!, async (editor) => {
      const text = C.replace('static long calls = 100;', 'static char calls = 100;');
      const report = await editor.type(text);
      assert.equal(report.outcome, 'refused', report.reason);
      assert.deepEqual(
        report.refusals.map(({ code, line }) => [code, line]),
        [['variable-changed', 2]],
      );
      writeFileSync(editor.path('unit.c'), text);
      const result = await editor.world.engine.patch({
        files: [editor.path('unit.c')],
        target: { kind: 'pid', pids: [editor.live.pid] },
        firstLight: true,
      });
      assert.deepEqual(
        result.refusals.map(({ code, line, message }) => ({ code, line, message })),
        report.refusals.map(({ code, line, message }) => ({ code, line, message })),
      );
      assert.equal(await editor.value(2), 21 + 101);
    }),
  );
});

describe('a part of an optimised unit', () => {
  it(
    'is compiled once for the save that brings it',
    inEditor(cases[1]!, async (editor) => {
      const parts: number[] = [];
      for (const n of [5, 7, 9]) {
        const before = editor.compiledParts();
        const text = CPLUSPLUS.replace(' + 1;', ` + ${n};`);
        const result = await editor.save(text, async () => {
          assert.equal(await editor.value(2), 20 + n + 101 + parts.length);
          parts.push(editor.compiledParts() - before);
        });
        assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
      }
      assert.deepEqual(parts, [1, 1, 1]);
    }),
  );
});

describe('a part of an optimised unit, whose callers are compiled otherwise as a part,', () => {
  const text = `__attribute__((noinline)) static long scaled(long n, long factor) { return n * factor + 1; }
__attribute__((noinline)) long step(long n);
long step(long n) { return scaled(n, 3) + scaled(n + 1, 3); }
long value(long n) { return scaled(n, 3) + step(n); }
`;
  const kind: Case = { title: 'gcc -O2', file: 'unit.c', text, compiler: 'gcc', flags: ['-O2'] };
  it(
    'is what its save will say that it changes',
    inEditor(kind, async (editor) => {
      const edited = text.replace('return scaled(n, 3) + scaled', 'return 7 + scaled(n, 3) + scaled');
      const report = await editor.type(edited);
      assert.deepEqual([report.outcome, report.changed.map(({ name }) => name)], ['ready', ['step']]);
      const result = await editor.save(edited, async () => assert.equal(await editor.value(1), 4 + 18));
      assert.equal(result.firstLight?.outcome, 'replaced', JSON.stringify(result));
      assert.deepEqual(
        result.changed.map(({ name }) => name),
        ['step'],
      );
    }),
  );

  it(
    'is live in two processes while the save before it is not confirmed, and both end in what was saved last',
    inEditor(kind, async (editor) => {
      const other = await editor.again();
      const pids = [editor.live.pid, other.pid];
      const file = editor.path('unit.c');
      await editor.world.engine.check([file], { kind: 'pid', pids });
      const hold = editor.path('hold');
      const values = async () => [await editor.value(1), parseInt(await other.observe('value', [1]))];
      /** @param whenLive while the compiler of the whole unit is held up */
      const save = async (text: string, whenLive?: () => Promise<void>, signal?: AbortSignal) => {
        writeFileSync(file, text);
        if (whenLive) writeFileSync(hold, '');
        let seen: Promise<void> | undefined;
        const result = await editor.world.engine.patch({
          files: [file],
          target: { kind: 'pid', pids },
          firstLight: true,
          ...(signal && { signal }),
          onProgress: ({ live }) => {
            if (live && whenLive) seen ??= whenLive().finally(() => rmSync(hold));
          },
        });
        await seen;
        return result;
      };
      const overtaken = new AbortController();
      const first = await save(
        text.replace('return scaled(n, 3) + scaled', 'return 7 + scaled(n, 3) + scaled'),
        async () => {
          assert.deepEqual(await values(), [22, 22]);
          overtaken.abort();
        },
        overtaken.signal,
      ).catch(() => undefined);
      assert.notEqual(first?.firstLight?.outcome, 'confirmed');
      // Another function, and the first one as it was.
      const edited = text.replace('return scaled(n, 3) + step', 'return scaled(n + 1, 3) + step');
      const second = await save(edited, async () => assert.deepEqual(await values(), [18, 18]));
      assert.equal(second.outcome, 'patched', JSON.stringify(second));
      assert.deepEqual(await values(), [18, 18]);
      const back = await save(text);
      assert.equal(back.outcome, 'reverted', JSON.stringify(back));
      assert.deepEqual(await values(), [15, 15]);
    }),
  );
});

describe('a part of an optimised unit that was compiled before a header changed', () => {
  it(
    'is compiled anew when the text is the same again',
    inEditor(cases[1]!, async (editor) => {
      const text = (n: number) => CPLUSPLUS.replace(' + 1;', ` + ${n};`);
      const light = async (n: number, expected: number) => {
        const result = await editor.save(text(n), async () => assert.equal(await editor.value(2), expected));
        assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
      };
      await light(5, 25 + 101);
      writeFileSync(editor.path('scale.h'), HEADER.replace('* 10', '* 100'));
      writeFileSync(editor.path('unit.cc'), text(7));
      const exact = await editor.world.engine.patch({
        files: [editor.path('unit.cc')],
        target: { kind: 'pid', pids: [editor.live.pid] },
        firstLight: true,
      });
      assert.equal(exact.outcome, 'patched', JSON.stringify(exact));
      assert.equal(await editor.value(2), 207 + 102);
      await light(5, 205 + 103);
    }),
  );
});

describe('texts that are compiled ahead one after the other', () => {
  // A patch with a string literal stays mapped: its address may be kept anywhere.
  const text = (n: number) =>
    `long value(long n) { const char *unit = "m"; return *unit - 'm' + n * ${n}; }\n`;
  const kind: Case = { title: 'gcc -O0', file: 'unit.c', text: text(1), compiler: 'gcc', flags: ['-O0'] };

  it(
    'are live at each save, also when it is time for a patch of the whole unit',
    inEditor(kind, async (editor) => {
      for (let n = 2; n < 20; n++) {
        const report = await editor.type(text(n));
        assert.equal(report.outcome, 'ready', `${n}: ${report.reason}`);
        const isLive = async () => assert.equal(await editor.value(2), 2 * n);
        const result = await editor.save(text(n), isLive);
        assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
      }
    }),
  );
});

describe('a text that is compiled ahead for two processes', () => {
  it(
    'is live in both at the save, and in one of them that was patched by itself meanwhile',
    inEditor(cases[0]!, async (editor) => {
      const other = await editor.again();
      const both = { kind: 'pid' as const, pids: [editor.live.pid, other.pid] };
      const file = editor.path('unit.c');
      const { engine } = editor.world;
      await engine.check([file], both);
      const edited = C.replace(/ \+ 1;/, ' + 5;');
      assert.equal((await engine.ahead({ file, text: edited, target: both })).outcome, 'ready');
      // Somebody else patches one of them before the save.
      writeFileSync(file, C.replace(/ \+ 1;/, ' + 9;'));
      const others = await editor.elsewhere((second) =>
        second.patch({ files: [file], target: { kind: 'pid', pids: [other.pid] } }),
      );
      assert.equal(others.outcome, 'patched', JSON.stringify(others));
      writeFileSync(file, edited);
      const result = await engine.patch({ files: [file], target: both, firstLight: true });
      assert.equal(result.outcome, 'patched', JSON.stringify(result));
      assert.equal(await editor.value(2), 25 + 101);
      assert.equal(parseInt(await other.observe('value', [2])), 25 + 101);
    }),
  );
});

describe('a text that is being typed', () => {
  const kind = cases[0]!;

  it(
    'is given up when the next key is pressed, and when a file is saved',
    inEditor(kind, async (editor) => {
      const [one, two, three] = [6, 7, 8].map((n) => kind.text.replace(/ \+ 1;/, ` + ${n};`));
      const first = editor.type(one!);
      const second = editor.type(two!);
      const save = editor.save(three!, async () => assert.equal(await editor.value(2), 28 + 101));
      assert.deepEqual([(await first).outcome, (await second).outcome], ['unknown', 'unknown']);
      assert.equal((await save).firstLight?.outcome, 'confirmed');
    }),
  );

  it(
    'may be no C at all, or change nothing',
    inEditor(kind, async (editor) => {
      assert.equal((await editor.type(kind.text.replace(' + 1;', ' + ;'))).outcome, 'unknown');
      const comment = await editor.type(kind.text.replace(' + 1; }', ' + 1; } // one'));
      assert.equal(comment.outcome, 'unchanged', comment.reason);
      assert.equal((await editor.type(kind.text.slice(0, 70))).outcome, 'unknown');
      assert.equal(await editor.value(2), 21 + 101);
    }),
  );
});
