// Generated patches in a running process: what is replaced, what stays, and the way back.
import { strict as assert } from 'node:assert';
import { readMemory } from '../support/memory';
import { inRuntimeSession, type RuntimeProcess, type RuntimeSession } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

const source = `
#include <stdio.h>
#include <string.h>
int counter = 100;
__thread int per_thread = 7;
__attribute__((noipa)) int value(int n) { counter++; return n + counter - counter; }
__attribute__((noipa)) const char *text(void) { return "old"; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "text", 4)) puts(text());
    else if (!strncmp(line, "counter", 7)) printf("%d\\n", counter);
    else if (!strncmp(line, "thread", 6)) printf("%d\\n", per_thread);
    else printf("%d\\n", value(10));
  }
  return 0;
}`;

const start = (session: RuntimeSession, ...flags: string[]) =>
  session.run(source, { flags: ['-rdynamic', ...flags] });
const returning = (n: number) => `int new_value(int n) { return n + ${n}; }`;
const version = (process: RuntimeProcess, n: number) => process.patch(returning(n), { value: 'new_value' });

describe('a generated patch', () => {
  it(
    'replaces a function, and reverting puts the original bytes back',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const entry = process.address('value');
      const before = readMemory(process.pid, entry, 16);
      assert.equal(await process.ask('value'), '10');

      const [patched] = (await version(process, 1)).functions;
      assert.equal(await process.ask('value'), '11');
      assert.equal(patched!.version, 1);
      assert.equal(patched!.trampoline.kind, 'jmp-rel32');
      assert.equal(patched!.trampoline.bytesBefore, before.slice(0, 10));
      assert.equal(patched!.trampoline.bytesAfter, readMemory(process.pid, entry, 5));
      assert.deepEqual(
        patched!.pages.flatMap((page) => page.calls),
        [
          { protection: 'PROT_READ|PROT_WRITE|PROT_EXEC', result: 0, errno: 0 },
          { protection: 'PROT_READ|PROT_EXEC', result: 0, errno: 0 },
        ],
      );

      const [reverted] = (await process.revert('value', 0)).functions;
      assert.equal(reverted!.trampoline.kind, 'none');
      assert.equal(await process.ask('value'), '10');
      assert.equal(readMemory(process.pid, entry, 16), before);
    }),
  );

  it(
    'is one jump from the original entry however often it is renewed, and any version can come back',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      for (const n of [1, 2, 3, 4, 5]) {
        const [patched] = (await version(process, n)).functions;
        assert.equal(await process.ask('value'), String(10 + n));
        const target = BigInt(patched!.versions.at(-1)!.address);
        const jump = Buffer.from(readMemory(process.pid, process.address('value'), 5), 'hex');
        assert.equal(process.address('value') + 5n + BigInt(jump.readInt32LE(1)), target);
      }
      for (const n of [3, 1, 5, 0, 4]) {
        const [back] = (await process.revert('value', n)).functions;
        assert.equal(back!.version, n);
        assert.equal(await process.ask('value'), String(10 + n));
      }
    }),
  );

  it(
    'replaces several functions and reverts others in one request',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      await version(process, 1);
      const file = process.patchFile('const char *new_text(void) { return "new"; }', { text: 'new_text' });
      const status = await process.done(
        'patch',
        `file ${file}`,
        `revert 0x${process.address('value').toString(16)}`,
      );
      assert.deepEqual(
        status.functions.map((f) => [f.symbol, f.version]),
        [
          ['value', 0],
          ['text', 1],
        ],
      );
      assert.equal(await process.ask('text'), 'new');
      assert.equal(await process.ask('value'), '10');
    }),
  );

  it(
    'uses the variables, thread-locals and library functions of the process',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      await process.patch(
        `#include <stdlib.h>
         extern int counter;
         extern __thread int per_thread;
         int new_value(int n) { counter = 500; per_thread += 1; return abs(-42) + n - n; }`,
        { value: 'new_value' },
      );
      assert.equal(await process.ask('value'), '42');
      assert.equal(await process.ask('counter'), '500');
      assert.equal(await process.ask('thread'), '8');

      await process.patch(
        'extern __thread int per_thread; int new_value(int n) { per_thread += 10; return n; }',
        { value: 'new_value' },
        { flags: ['-ftls-model=initial-exec'] },
      );
      await process.ask('value');
      assert.equal(await process.ask('thread'), '18');
    }),
  );

  it(
    'reaches a target beyond 2 GiB over an island',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('it gives programs no such places in memory', 'thread');
      const process = await start(session);
      const far = { address: 0x7000_0000_0000n };
      const [patched] = (await process.patch(returning(5), { value: 'new_value' }, far)).functions;
      assert.equal(patched!.trampoline.kind, 'jmp-rel32+island');
      assert.equal(await process.ask('value'), '15');
      await version(process, 6);
      assert.equal(await process.ask('value'), '16');
      await process.revert('value', 1);
      assert.equal(await process.ask('value'), '15');
      await process.revert('value', 0);
      assert.equal(await process.ask('value'), '10');
    }),
  );

  it(
    'works in a program that is not position-independent',
    inRuntimeSession(async (session) => {
      const process = await start(session, '-no-pie');
      await version(process, 3);
      assert.equal(await process.ask('value'), '13');
      await process.revert('value', 0);
      assert.equal(await process.ask('value'), '10');
    }),
  );

  it(
    'works in a static program',
    inRuntimeSession(async (session) => {
      const text = source
        .replace('#include <stdio.h>', '#include <stdio.h>\n#include "hot_fix.h"')
        .replace('puts("ready");', 'init_hot_fix_signal(); puts("ready");');
      for (const flag of ['-static', '-static-pie']) {
        const executable = session.compile(`program${flag}`, text, { runtime: 'embedded', flags: [flag] });
        const process = await session.start(executable, { runtime: 'embedded' });
        await version(process, 3);
        assert.equal(await process.ask('value'), '13');
        await process.revert('value', 0);
        assert.equal(await process.ask('value'), '10');
      }
    }),
  );

  it(
    'jumps behind an endbr64',
    inRuntimeSession(async (session) => {
      const process = await start(session, '-fcf-protection=full');
      assert.equal(readMemory(process.pid, process.address('value'), 4), 'f30f1efa');
      const functions = [process.fix('value', 'new_value', { jumpOffset: 4 })];
      const [patched] = (await process.patch(returning(2), {}, { functions })).functions;
      assert.equal(BigInt(patched!.trampoline.address), process.address('value') + 4n);
      assert.equal(readMemory(process.pid, process.address('value'), 4), 'f30f1efa');
      assert.equal(await process.ask('value'), '12');
      await process.revert('value', 0);
      assert.equal(await process.ask('value'), '10');
    }),
  );

  it(
    'lets exceptions pass through it',
    inRuntimeSession(async (session) => {
      const process = await session.run(
        `#include <cstdio>
         #include <stdexcept>
         extern "C" __attribute__((noipa)) int value(int n) { if (n < 0) throw n; return n; }
         int main() {
           std::setvbuf(stdout, nullptr, _IOLBF, 0);
           std::puts("ready");
           char line[64];
           while (std::fgets(line, sizeof line, stdin)) {
             try { std::printf("%d\\n", value(1)); }
             catch (const std::exception &e) { std::printf("caught %s\\n", e.what()); }
           }
         }`,
        { language: 'c++' },
      );
      await process.patch(
        `#include <stdexcept>
         #include <string>
         struct Cleanup { int &n; ~Cleanup() { n++; } };
         extern "C" int new_value(int n) {
           int cleaned = 0;
           try { Cleanup c{cleaned}; throw std::runtime_error("inner"); } catch (const std::runtime_error &) {}
           throw std::out_of_range("cleaned " + std::to_string(cleaned + n - n));
         }`,
        { value: 'new_value' },
        { language: 'c++' },
      );
      assert.equal(await process.ask(''), 'caught cleaned 1');
      assert.equal(await process.ask(''), 'caught cleaned 1');
    }),
  );
});

describe('a patch that does not fit', () => {
  it(
    'is refused when it was made for another build, another place, or other bytes',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const other = {
        ...process.module,
        buildId: process.module.buildId.replace(/^../, (x) => (x === '00' ? '01' : '00')),
      };
      const bytes = [process.fix('value', 'new_value', { original: '90'.repeat(16) })];
      const elsewhere = { ...process.module, bias: process.module.bias + 0x1000n };
      const map = { value: 'new_value' };
      await process.refused(
        'wrong-module',
        'patch',
        `file ${process.patchFile(returning(1), map, { module: other })}`,
      );
      await process.refused(
        'wrong-module',
        'patch',
        `file ${process.patchFile(returning(1), map, { module: elsewhere })}`,
      );
      const message = await process.refused(
        'original-differs',
        'patch',
        `file ${process.patchFile(returning(1), {}, { functions: bytes })}`,
      );
      assert.match(message, /value/);
      await process.refused(
        'address-taken',
        'patch',
        `file ${process.patchFile(returning(1), map, { address: process.module.bias })}`,
      );
      assert.equal(await process.ask('value'), '10');
      assert.deepEqual((await process.done('status')).functions, []);
      await version(process, 1);
      assert.equal(await process.ask('value'), '11');
    }),
  );

  it(
    'is refused when it needs a symbol that the process does not have; a weak one is 0',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const weak =
        'extern int nowhere(void) __attribute__((weak)); int new_value(int n) { return nowhere ? 0 : n + 2; }';
      const strong = 'extern int nowhere(void); int new_value(int n) { return nowhere() + n; }';
      const file = process.patchFile(strong, { value: 'new_value' });
      assert.match(await process.refused('symbol-not-found', 'patch', `file ${file}`), /nowhere/);
      assert.equal(await process.ask('value'), '10');
      await process.patch(weak, { value: 'new_value' });
      assert.equal(await process.ask('value'), '12');
    }),
  );

  it(
    'changes nothing when one of several files does not fit',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const good = process.patchFile(returning(1), { value: 'new_value' });
      const bad = process.patchFile(
        'const char *t(void) { return "new"; }',
        {},
        {
          functions: [process.fix('text', 't', { original: '90'.repeat(16) })],
        },
      );
      await process.refused('original-differs', 'patch', `file ${good}`, `file ${bad}`);
      assert.equal(await process.ask('value'), '10');
      assert.equal(await process.ask('text'), 'old');
    }),
  );

  it(
    'is refused for an entry too short for a jump, or named twice',
    inRuntimeSession(async (session) => {
      const process = await start(session);
      const short = [process.fix('value', 'new_value', { room: 4 })];
      const file = process.patchFile(returning(1), {}, { functions: short });
      assert.match(await process.refused('entry-too-short', 'patch', `file ${file}`), /value has 4 bytes/);
      const twice = process.patchFile(returning(1), { value: 'new_value' });
      const again = process.patchFile(returning(2), { value: 'new_value' });
      await process.refused('bad-request', 'patch', `file ${twice}`, `file ${again}`);
      assert.equal(await process.ask('value'), '10');
    }),
  );
});
