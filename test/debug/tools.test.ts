// The tools that developers already use, on patched code: perf, addr2line, core files, backtrace(3). Patch files are
// mapped from files at the addresses that they are linked for, which is all that these tools need.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { inSession, type Session } from '../support/session';
import type { Program } from '../support/program';

const source = `
#include <execinfo.h>
#include <unistd.h>
#include <cstdio>
static volatile long sink;
__attribute__((noinline)) void busy(long n) {
  for (long i = 0; i < n; i++) sink = sink + i;
  if (n == 1) {
    void *frames[16];
    backtrace_symbols_fd(frames, backtrace(frames, 16), 1);
  }
}
int main() {
  puts("ready");
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin))
    if (line[0] == 'b') busy(1);
    else for (;;) busy(1000000);
}
`;

/** The program, patched; busy runs in the patch when it is called next. */
async function patched(session: Session): Promise<{ program: Program; file: string; address: string }> {
  session.write('busy.cc', source);
  await session.build({ sources: ['busy.cc'], flags: ['-O1', '-g'] });
  const program = await session.start();
  session.edit('busy.cc', 'sink + i', 'sink + 2 * i');
  await session.patch('busy.cc');
  const [status] = await session.status(String(program.pid));
  return { program, file: status!.patches[0]!.file, address: status!.functions[0]!.trampoline.target };
}

describe('in patched code', () => {
  it('perf names the functions', async function () {
    let missing: string | undefined;
    await inSession(async (session) => {
      const { program, file } = await patched(session);
      program.send('run');
      const data = session.path('perf.data');
      const target = ['-p', String(program.pid), '-o', data, '--', 'sleep', '0.3'];
      const args = ['record', '-e', 'cpu-clock', '-g', ...target];
      const { status, error, stderr } = spawnSync('perf', args, { encoding: 'utf8' });
      if (status !== 0) {
        missing = error?.message ?? stderr.split('\n')[0];
        return;
      }
      const script = await session.run('perf', ['script', '-i', data, '-F', 'ip,sym,dso']);
      assert.match(script, new RegExp(`busy.* \\(${file}\\)`));
    })();
    if (missing !== undefined) {
      console.log(`      perf does not run here: ${missing}`);
      this.skip();
    }
  });

  it(
    'addr2line finds function and line in the patch file, without a load bias',
    inSession(async (session) => {
      const { file, address } = await patched(session);
      const found = await session.run('addr2line', ['-f', '-C', '-e', file, address]);
      assert.match(found, /^busy\(long\)\n.*busy\.cc:\d+\n$/);
    }),
  );

  it(
    'a core file has the frames and their lines',
    inSession(async (session) => {
      const { program } = await patched(session);
      program.send('run');
      const core = session.path('core');
      const quiet = ['-q', '-nx', '-batch', '-ex', 'set debuginfod enabled off'];
      await session.run('gdb', [
        ...quiet,
        '-p',
        String(program.pid),
        '-ex',
        'break busy.cc:7',
        '-ex',
        `generate-core-file ${core}`,
      ]);
      const frames = await session.run('gdb', [...quiet, session.path('program'), core, '-ex', 'bt']);
      assert.match(frames, /busy \(n=.*busy\.cc:\d+\n(.*\n)*#\d+ .*main \(\) at .*busy\.cc/);
    }),
  );

  it(
    'backtrace(3) goes through patched frames to main; addr2line names the bare addresses that it prints for them',
    inSession(async (session) => {
      const { program, file } = await patched(session);
      program.send('b');
      const [, address] = /^\[(0x[0-9a-f]+)\]$/.exec(await program.line())!;
      assert.match(await session.run('addr2line', ['-f', '-C', '-e', file, address!]), /^busy\(long\)/);
      await program.line(/program\(/);
    }),
  );
});
