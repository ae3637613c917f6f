// Patched code under a debugger: seen by one that attaches later, and patched while one is attached.
import { strict as assert } from 'node:assert';
import { mappings, readMemory } from '../support/memory';
import type { Program } from '../support/program';
import { inRuntimeSession, type RuntimeProcess } from '../support/runtime_process';

const source = `
#include <stdio.h>
int counter = 5;
__attribute__((naked, noipa)) int value(int n) {
  __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret");
}
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value(1));
  return 0;
}`;
const replacement = `
extern int counter;
int new_value(int n) {
  int inside = n + 41;
  return inside + counter - counter;
}`;

/** Attaches gdb, which then carries out the commands and lets the process go. */
async function attach(process: RuntimeProcess, ...commands: string[]): Promise<Program> {
  const settings = ['set pagination off', 'set debuginfod enabled off', 'handle all nostop noprint pass'];
  const all = [...settings, 'echo attached\\n', ...commands, 'echo \\nfinished\\n'];
  const args = ['-q', '-nx', '-batch', '-p', String(process.pid), ...all.flatMap((text) => ['-ex', text])];
  const gdb = await process.session.startCommand('gdb', args);
  await gdb.line('attached');
  return gdb;
}

/** All that gdb printed, once it has carried out its commands. */
async function outputOf(gdb: Program): Promise<string> {
  await gdb.line('finished');
  return gdb.lines.join('\n');
}

describe('a debugger', () => {
  it(
    'that attaches after the patch knows its functions, lines and variables',
    inRuntimeSession(async (session) => {
      const process = await session.run(source, { flags: ['-rdynamic'] });
      await process.patch(replacement, { value: 'new_value' }, { flags: ['-O0'] });
      const commands = [
        'info line new_value',
        'break new_value',
        'continue',
        'next',
        'backtrace',
        'print inside',
      ];
      const gdb = await attach(process, ...commands, 'delete', 'detach');
      process.program.send('');
      const output = await outputOf(gdb);
      assert.match(output, /Line 3 of ".*patch-.*\.c"\s+starts at address/);
      assert.match(output, /#0 {2}new_value \(n=1\) at .*patch-[\s\S]* in main [\s\S]*\$1 = 42/);
      assert.equal(await process.program.line(), '42');
      assert.equal(await process.ask(''), '42');
    }),
  );

  it(
    'is shown the symbol file that a request names instead',
    inRuntimeSession(async (session) => {
      const process = await session.run(source, { flags: ['-rdynamic'] });
      const address = process.freePlace();
      const bare = process.patchFile(replacement, { value: 'new_value' }, { address, flags: ['-g0'] });
      const full = process.patchFile(replacement, { value: 'new_value' }, { address });
      await process.done('patch', `file ${bare}`);
      await process.done('symbols', 'patch 1', `file ${full}`);
      // It is mapped, and not copied into memory of the process.
      const [symbols] = mappings(process.pid).filter(({ path }) => path === full);
      assert.match(symbols!.protection, /^r--p/);
      assert.match(await outputOf(await attach(process, 'info line new_value')), /Line 5 of ".*patch-/);
    }),
  );

  it(
    'that is attached does not see an int3 of ours, and the process is patched',
    inRuntimeSession(async (session) => {
      // At low addresses one stored byte does not lead anywhere.
      const process = await session.run(source, { flags: ['-rdynamic', '-no-pie'] });
      const gdb = await attach(process, 'continue');
      const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
      const file = process.patchFile(replacement, {}, { functions });
      const [parked] = (await process.done('patch', `file ${file}`)).functions;
      assert.equal(parked!.trampoline.method, 'parked');
      assert.equal(await process.ask(''), '42');
      const [reverted] = (await process.revert('value', 0)).functions;
      assert.equal(reverted!.trampoline.method, 'store');
      assert.equal(await process.ask(''), '1');
      process.program.endInput();
      assert.equal(await process.program.exit(), 0);
      assert.doesNotMatch(await outputOf(gdb), /received signal/);
    }),
  );

  it(
    'may have breakpoints behind the first byte of a function that is patched, and remove them later',
    inRuntimeSession(async (session) => {
      const stopping = source
        .replace('int main', '__attribute__((noipa)) void stop(void) {}\nint main')
        .replace('printf', 'if (line[0] == 115) stop(); else printf');
      const process = await session.run(stopping, { flags: ['-rdynamic'] });
      const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
      const file = process.patchFile(replacement, {}, { functions });
      const places = ['break *((char *)value + 1)', 'break *((char *)value + 4)', 'break stop'];
      const gdb = await attach(process, ...places, 'continue', 'delete', 'continue');
      const [patched] = (await process.done('patch', `file ${file}`)).functions;
      assert.equal(patched!.trampoline.method, 'store');
      assert.match(patched!.trampoline.bytesAfter, /^e9cc....cc$/);
      assert.equal(await process.ask(''), '42');
      process.program.send('stop');
      assert.equal(await process.ask(''), '42');
      assert.equal(readMemory(process.pid, process.address('value'), 5), 'e94889e589');
      process.program.endInput();
      assert.equal(await process.program.exit(), 0);
      await outputOf(gdb);
    }),
  );
});
