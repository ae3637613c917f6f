// Compiled ahead of the save, in units that the compiler optimises: of which texts a part will do, which are compiled whole,
// and what a part says of the code around it.
import { strict as assert } from 'node:assert';
import { rmSync, writeFileSync } from 'node:fs';
import { C, type Case, cases, CPLUSPLUS, HEADER, inEditor } from '../support/ahead_editor';

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
