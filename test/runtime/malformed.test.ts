// Malformed input: whatever arrives, the process runs on, nothing is changed, and the answer says why.
import { strict as assert } from 'node:assert';
import { mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  inRuntimeSession,
  runtimeLibrary,
  type RuntimeProcess,
  type RuntimeSession,
} from '../support/runtime_process';
import { mappings } from '../support/memory';

const source = `
#include <stdio.h>
#include <string.h>
int counter = 5;
__attribute__((noipa)) int value(int n) { return n; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "alive", 5)) puts("alive");
    else printf("%d\\n", value(1));
  }
  return 0;
}`;
const start = (session: RuntimeSession) => session.run(source, { flags: ['-rdynamic'] });
const replacement = `
#include <stdlib.h>
extern int counter;
static const char *const words[] = {"one", "two"};
static int seen = 3;
int new_value(int n) { seen++; return n + counter + abs(seen) + (int)sizeof words[n % 2]; }`;
const patchOf = (process: RuntimeProcess) => process.patchFile(replacement, { value: 'new_value' });

/** A sequence of numbers that is the same in every run (a linear congruential generator). */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * limit);
  };
}

describe('a malformed patch file', () => {
  it(
    'that is truncated anywhere is refused',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const whole = readFileSync(patchOf(process));
      // What lies behind the loaded bytes (debug sections, section headers) may be missing.
      const table = Number(whole.readBigUInt64LE(32));
      const loadedEnd = Math.max(
        ...Array.from({ length: whole.readUInt16LE(56) }, (_, i) => table + i * 56)
          .filter((header) => whole.readUInt32LE(header) === 1)
          .map((header) => Number(whole.readBigUInt64LE(header + 8) + whole.readBigUInt64LE(header + 32))),
      );
      for (let length = 0; length < loadedEnd; length += length < 1200 ? 24 : 400) {
        const file = session.path('truncated.so');
        writeFileSync(file, whole.subarray(0, length));
        await process.refused('bad-patch-file', 'patch', `file ${file}`);
      }
      assert.equal(await process.ask('value'), '1');
    }),
  );

  it(
    'with flipped bits does no harm',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const whole = readFileSync(patchOf(process));
      const next = numbers(20240501);
      // The headers, the note and its tables, symbols, relocations: all that the runtime reads. New code itself is
      // only ever run by calls, and nothing calls value() here.
      const read = Math.min(whole.length, 0x1000);
      const tables = whole.indexOf('hot_fix\0');
      for (let round = 0; round < 400; round++) {
        const bytes = Buffer.from(whole);
        const flips = 1 + next(3);
        for (let i = 0; i < flips; i++) {
          const ranges = [
            () => next(read),
            () => next(0x400),
            () => tables + 8 + next(128),
            () => 0x2000 + next(0x1000),
          ];
          const at = ranges[next(ranges.length)]!() % bytes.length;
          bytes[at]! ^= 1 << next(8);
        }
        const file = session.path(`flipped-${round}.so`);
        writeFileSync(file, bytes);
        const answer = await process.request('patch', `file ${file}`);
        if (answer.ok) await process.done('revert', 'all');
        assert.equal(await process.ask('alive'), 'alive', `round ${round}: ${JSON.stringify(answer.error)}`);
      }
      assert.equal(await process.ask('value'), '1');
      assert.ok((await process.request('status')).ok);
    }),
  );

  it(
    'that is something else is refused',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const text = session.path('text.so');
      writeFileSync(
        text,
        'not an ELF file, but long enough to be looked at as one, or so it would seem\n'.repeat(50),
      );
      mkdirSync(session.path('directory.so'));
      const files = [text, session.path('directory.so'), session.path('missing.so')];
      for (const file of [...files, process.executable, runtimeLibrary, '/dev/zero', '/dev/null']) {
        await process.refused('bad-patch-file', 'patch', `file ${file}`);
      }
      assert.equal(await process.ask('value'), '1');
      assert.deepEqual((await process.done('status')).patches, []);
    }),
  );

  it(
    'leaves nothing of itself in memory',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const file = process.patchFile(
        'extern int nowhere(void); int new_value(int n) { return nowhere() + n; }',
        {
          value: 'new_value',
        },
      );
      await process.refused('symbol-not-found', 'patch', `file ${file}`);
      assert.equal(mappings(process.pid).filter((mapping) => mapping.path === file).length, 0);
    }),
  );
});

describe('a malformed request', () => {
  it(
    'is answered with the reason',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const bad = [
        '',
        'hot_fix',
        'hello\n',
        'hot_fix 1\n',
        'hot_fix 1\ncommand status\n',
        'hot_fix 1\ncommand status\nend',
        'hot_fix 1\ncommand dance\nend\n',
        'hot_fix 1\ncommand status\nfile /tmp/x\nend\n',
        'hot_fix 1\ncommand patch\nend\n',
        'hot_fix 1\ncommand patch\nfile relative.so\nend\n',
        'hot_fix 1\ncommand patch\nrevert 1234\nend\n',
        'hot_fix 1\ncommand revert\nend\n',
        'hot_fix 1\ncommand revert\nall\nfunction 0x1000 0\nend\n',
        'hot_fix 1\ncommand revert\nfunction 0x1000\nend\n',
        'hot_fix 1\ncommand revert\nfunction 0xffffffffffffffffff 0\nend\n',
        'hot_fix 1\ncommand symbols\npatch 1\nend\n',
        'hot_fix 1\ncommand status\0\nend\n',
        'x'.repeat(2_000_000),
        `hot_fix 1\ncommand patch\nfile /${'x'.repeat(100_000)}`,
      ];
      for (const text of bad) {
        const answer = await process.send(text);
        assert.equal(answer.error?.code, 'bad-request', JSON.stringify([text.slice(0, 80), answer.error]));
        assert.deepEqual(answer.status.functions, []);
      }
      const future = await process.send('hot_fix 2\ncommand status\nend\n');
      assert.equal(future.error?.code, 'protocol-mismatch');
      await process.refused('unknown-version', 'revert', 'function 0x1000 0');
      await process.refused('bad-request', 'symbols', 'patch 7', `file ${process.executable}`);
      await process.refused('bad-patch-file', 'patch', `file /${'x'.repeat(10_000)}`);
      assert.equal(await process.ask('value'), '1');
    }),
  );

  it(
    'that is no file is not followed, and does not keep others from being answered',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const requests = join(process.controlDirectory, 'requests');
      const outside = session.path('outside');
      writeFileSync(outside, 'hot_fix 1\ncommand status\nend\n');
      symlinkSync(outside, join(requests, 'link'));
      mkdirSync(join(requests, 'folder', 'inner'), { recursive: true });
      process.ring();
      assert.equal((await process.answer('link')).error?.code, 'bad-request');
      assert.equal(readFileSync(outside, 'utf8'), 'hot_fix 1\ncommand status\nend\n');
      await process.done('status');
    }),
  );

  it(
    'does not hide the others of one ring: all are answered, oldest first',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const requests = Object.entries({ b: 'hot_fix 1\ncommand status\nend\n', a: 'nonsense', c: '' });
      requests.forEach(([id, text], second) => {
        process.place(id, text);
        utimesSync(join(process.controlDirectory, 'requests', id), second, second);
      });
      process.ring();
      const answers = await Promise.all(['a', 'b', 'c'].map((id) => process.answer(id)));
      assert.deepEqual(
        answers.map((answer) => answer.ok),
        [false, true, false],
      );
      const order = answers
        .toSorted((x, y) => x.status.sequence - y.status.sequence)
        .map((answer) => answer.id);
      assert.deepEqual(order, ['b', 'a', 'c']);
    }),
  );
});
