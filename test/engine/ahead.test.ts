// Compiled ahead of the save: what is typed is compiled while it is typed, and a save of that text is live without a
// compiler. Nothing of it reaches the process before the save.
import { strict as assert } from 'node:assert';
import { rmSync, writeFileSync } from 'node:fs';
import { C, type Case, cases, HEADER, inEditor } from '../support/ahead_editor';

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

describe('a text that is compiled ahead for one of two processes', () => {
  it(
    'is live in both at the save, while the whole unit is being compiled',
    inEditor(cases[0]!, async (editor) => {
      const other = await editor.again();
      const both = { kind: 'pid' as const, pids: [editor.live.pid, other.pid] };
      const file = editor.path('unit.c');
      const { engine } = editor.world;
      await engine.check([file], both);
      const edited = C.replace(/ \+ 1;/, ' + 5;');
      assert.equal((await editor.type(edited)).outcome, 'ready');
      writeFileSync(file, edited);
      const hold = editor.path('hold');
      writeFileSync(hold, '');
      let seen: Promise<void> | undefined;
      const look = async () => {
        assert.equal(await editor.value(2), 25 + 101);
        assert.equal(parseInt(await other.observe('value', [2])), 25 + 101);
      };
      const result = await engine.patch({
        files: [file],
        target: both,
        firstLight: true,
        onProgress: ({ live }) => {
          if (live) seen ??= look().finally(() => rmSync(hold));
        },
      });
      await seen;
      assert.equal(result.firstLight?.outcome, 'confirmed', JSON.stringify(result));
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
