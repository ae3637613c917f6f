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
import { fileOffset } from '../support/patch_file';

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
    'whose symbols or versions have no names is refused',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const calls = '#include <stdio.h>\nint new_value(int n) { return puts("new") + n; }';
      const whole = readFileSync(process.patchFile(calls, { value: 'new_value' }));
      const table = Number(whole.readBigUInt64LE(32));
      const header = Array.from({ length: whole.readUInt16LE(56) }, (_, i) => table + i * 56).find(
        (at) => whole.readUInt32LE(at) === 2,
      )!;
      const dynamic = Number(whole.readBigUInt64LE(header + 8));
      const entry = (tag: bigint) => {
        for (let at = dynamic; ; at += 16) if (whole.readBigUInt64LE(at) === tag) return at;
      };
      const [DT_STRTAB, DT_DEBUG, DT_VERNEED] = [5n, 21n, 0x6fff_fffen];
      const attempts: [string, (bytes: Buffer) => void, RegExp][] = [
        ['no table', (bytes) => bytes.writeBigUInt64LE(DT_DEBUG, entry(DT_STRTAB)), /has no name/],
        [
          'an empty version',
          (bytes) => {
            // Elf64_Verneed and, vn_aux (at 8) behind it, Elf64_Vernaux with vna_name at 8.
            const need = fileOffset(whole, whole.readBigUInt64LE(entry(DT_VERNEED) + 8));
            bytes.writeUInt32LE(0, need + whole.readUInt32LE(need + 8) + 8);
          },
          /version without a name/,
        ],
        [
          'a misaligned dynamic section',
          (bytes) => bytes.writeBigUInt64LE(whole.readBigUInt64LE(header + 16) + 4n, header + 16),
          /misaligned|outside of the segments/,
        ],
      ];
      for (const [name, spoil, reason] of attempts) {
        const bytes = Buffer.from(whole);
        spoil(bytes);
        const file = session.path(`${name.replaceAll(' ', '-')}.so`);
        writeFileSync(file, bytes);
        assert.match(await process.refused('bad-patch-file', 'patch', `file ${file}`), reason, name);
      }
      assert.equal(await process.ask('value'), '1');
    }),
  );

  it(
    'whose unwind records the unwinder would stop at is refused',
    inRuntimeSession(async (session) => {
      const source = `
        #include <cstdio>
        extern "C" __attribute__((noipa)) int value(int n) { return n; }
        int main() {
          char line[64];
          setvbuf(stdout, 0, _IOLBF, 0);
          puts("ready");
          while (fgets(line, sizeof line, stdin)) {
            try { printf("%d\\n", value(1)); if (line[0] == 't') throw 1; } catch (int n) { printf("caught %d\\n", n); }
          }
        }`;
      const process = await session.run(source, { language: 'c++' });
      const throwing = `
        struct Guard { int n; ~Guard() { __asm__ volatile("" :: "r"(n)); } };
        extern "C" int new_value(int n) { Guard guard{n}; if (n == 2) throw 7; return n + 4; }`;
      const patch = process.patchFile(throwing, { value: 'new_value' }, { language: 'c++' });
      const whole = readFileSync(patch);
      const note = whole.indexOf('hot_fix\0') + 8;
      const frames = fileOffset(whole, whole.readBigUInt64LE(note + 88));
      const records: { at: number; length: number; isCie: boolean }[] = [];
      for (let at = frames; whole.readUInt32LE(at) !== 0; at += 4 + whole.readUInt32LE(at)) {
        const length = whole.readUInt32LE(at);
        records.push({ at, length, isCie: whole.readUInt32LE(at + 4) === 0 });
      }
      // z, personality, LSDA, address encoding; then alignments, return column, length, and what the letters stand for.
      const cie = records.find(({ at }) => whole.toString('latin1', at + 9, at + 14) === 'zPLR\0')!;
      assert.ok(cie, 'the patch has a CIE with a personality');
      const fde = records.find(({ at, isCie }) => !isCie && at + 4 - whole.readUInt32LE(at + 4) === cie.at)!;
      const instructions = cie.at + 14 + 4 + 1 + 4 + 1 + 1;
      assert.equal(whole[instructions], 0x0c, 'DW_CFA_def_cfa');
      const set =
        (at: number, ...values: number[]) =>
        (bytes: Buffer) =>
          bytes.set(values, at);
      const attempts: Record<string, (bytes: Buffer) => void> = {
        'a letter that is not known': set(cie.at + 12, 'Q'.charCodeAt(0)),
        'a letter of another architecture': set(cie.at + 12, 'B'.charCodeAt(0)),
        'an instruction that does not exist': set(instructions, 0x3f),
        'a state that was never remembered': set(instructions, 0x0b),
        'a register that does not exist': set(instructions + 1, 0x60),
        'an expression beyond the record': set(instructions, 0x0f, 0x7f),
        'an expression that takes from an empty stack': set(instructions, 0x0f, 0x01, 0x22, 0, 0),
        'another return address': set(cie.at + 16, 3),
        'a personality outside of the patch': (bytes) => bytes.writeInt32LE(0x10_0000, cie.at + 19),
        'exception tables outside of the patch': (bytes) => bytes.writeInt32LE(0x10_0000, fde.at + 17),
      };
      for (const [name, spoil] of Object.entries(attempts)) {
        const bytes = Buffer.from(whole);
        spoil(bytes);
        const file = session.path('spoilt.so');
        writeFileSync(file, bytes);
        const answer = await process.request('patch', `file ${file}`);
        assert.equal(answer.error?.code, 'bad-patch-file', name);
        assert.match(answer.error.message, /eh_frame/, name);
        assert.equal(await process.ask('value'), '1', name);
      }
      await process.done('patch', `file ${patch}`);
      assert.equal(await process.ask('value'), '5');
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
