// Finding the process: several of one program, programs that share a file, shared libraries as the module, programs
// started by `hot-patch run`.
import { strict as assert } from 'node:assert';
import { exitStatus, patch, ps } from '../support/hot_patch';
import { cli } from '../support/paths';
import { inSession, Session, Unit } from '../support/session';
import { until } from '../support/until';

const source = 'static long calls = 0;\nlong value(long n) { calls++; return n * 2 + calls; }\n';

async function startThree(session: Session) {
  const { program } = await Unit.start(session, source);
  return [program, await session.start(), await session.start()];
}

describe('several processes of one program', () => {
  it(
    'are listed, and none is patched, when none was chosen',
    inSession(async (session) => {
      const programs = await startThree(session);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const result = await patch(['unit.cc'], session.options, exitStatus.noProcess);
      const refusal = result.refusals.find(({ code }) => code === 'several-processes');
      assert.ok(refusal, JSON.stringify(result.refusals));
      for (const { pid } of programs) assert.match(JSON.stringify(result.refusals), new RegExp(String(pid)));
      for (const program of programs) assert.equal(await program.ask('10'), '21');
    }),
  );

  it(
    'are all patched with --all',
    inSession(async (session) => {
      const programs = await startThree(session);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const result = await session.patch(['unit.cc', '--all']);
      assert.deepEqual(
        new Set(result.processes.map(({ pid }) => pid)),
        new Set(programs.map(({ pid }) => pid)),
      );
      for (const program of programs) assert.equal(await program.ask('10'), '31');
    }),
  );

  it(
    'are patched one by one with --pid',
    inSession(async (session) => {
      const [first, second, third] = await startThree(session);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const result = await session.patch(['unit.cc', '--pid', String(second!.pid)]);
      assert.deepEqual(
        result.processes.map(({ pid }) => pid),
        [second!.pid],
      );
      assert.equal(await first!.ask('10'), '21');
      assert.equal(await second!.ask('10'), '31');
      assert.equal(await third!.ask('10'), '21');
    }),
  );

  it(
    'of several programs are no choice where only the name of a unit speaks for those that lie elsewhere',
    inSession(async (session) => {
      const elsewhere = new Session();
      try {
        const stranger = await Unit.start(elsewhere, source, { flags: ['-O2'] });
        const unit = await Unit.start(session, source, { flags: ['-O2'] });
        const { processes } = await unit.editAndPatch('n * 2', 'n * 3');
        assert.deepEqual(
          processes.map(({ pid }) => pid),
          [unit.program.pid],
        );
        assert.equal(await unit.value(10), 31);
        assert.equal(await stranger.value(10), 21);
      } finally {
        await elsewhere.dispose();
      }
    }),
  );
});

describe('a program of somebody else', () => {
  it(
    'is left alone although it has a source of the same name and no debug information to tell them apart',
    inSession(async (session) => {
      const { program } = await Unit.start(session, source);
      await program.stop();
      const stranger = new Session();
      try {
        const others =
          'long first(long n) { return n * n + 11; }\nlong value(long n) { return first(n) - 5; }\n';
        const unit = await Unit.start(stranger, others, { flags: ['-O2'] });
        session.edit('unit.cc', 'n * 2', 'n * 3');
        await patch(['unit.cc'], session.options, exitStatus.noProcess);
        assert.equal(await unit.value(3), 15);
      } finally {
        await stranger.dispose();
      }
    }),
  );
});

describe('hot-patch ps', () => {
  it(
    'lists a process with the runtime as ready, and one without it as such',
    inSession(async (session) => {
      const { program } = await Unit.start(session, source);
      const plain = await session.startPlain();
      const processes = await ps(session.options);
      assert.equal(processes.find(({ pid }) => pid === program.pid)?.state, 'ready');
      assert.notEqual(processes.find(({ pid }) => pid === plain.pid)?.state, 'ready');
      assert.match((await session.hotPatch('ps')).stdout, new RegExp(`\\b${program.pid}\\b.*program`));
    }),
  );

  it(
    'lists a process that runs another program now as what that is: with a runtime of its own, or without',
    inSession(async (session) => {
      session.copySample('family');
      session.write('unit.c', 'long value(long n) { return n * 2; }\n');
      for (const output of ['first', 'second'])
        await session.build({ sources: ['main.c', 'unit.c'], output, flags: ['-g', '-O0'] });
      const program = await session.start('first');
      // A preloaded runtime appears some 20 ms after its program.
      const isListed = (name: string, state: string) =>
        until(
          async () => (await ps(session.options)).find(({ pid }) => pid === program.pid),
          (found) => found?.name === name && found.state === state,
        );
      await isListed('first', 'ready');
      assert.equal(await program.ask(`exec ${session.path('second')}`), 'ready');
      await isListed('second', 'ready');
      assert.equal(await program.ask(`exec-plain ${session.path('first')}`), 'ready');
      await isListed('first', 'no-runtime');
    }),
  );

  it(
    'no longer lists a process that has ended',
    inSession(async (session) => {
      const { program } = await Unit.start(session, source);
      await program.stop();
      const processes = await ps(session.options);
      assert.equal(
        processes.find(({ pid }) => pid === program.pid),
        undefined,
      );
    }),
  );
});

describe('hot-patch run', () => {
  it(
    'starts a program that can be patched, passes its input, output and exit status through',
    inSession(async (session) => {
      const { program } = await Unit.start(session, source);
      await program.stop();
      const run = await session.startCommand(process.execPath, [cli, 'run', '--', session.path('program')]);
      await run.line('ready');
      assert.equal(await run.ask('10'), '21');
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await session.patch('unit.cc');
      assert.equal(await run.ask('10'), '32');
      run.endInput();
      assert.equal(await run.exit(), 0);
    }),
  );

  it(
    'starts a program that AddressSanitizer watches, which is patched and watched on',
    inSession(async (session) => {
      session.write(
        'unit.cc',
        `#include <cstdio>
         #include <cstdlib>
         __attribute__((noinline)) long at(long n) { long values[4] = {1, 2, 3, 4}; return values[n & 3]; }
         int main() {
           char line[64];
           puts("ready"); fflush(stdout);
           while (fgets(line, sizeof line, stdin)) { printf("%ld\\n", at(atol(line))); fflush(stdout); }
         }`,
      );
      await session.build({
        sources: ['unit.cc'],
        flags: ['-O1', '-g', '-fsanitize=address'],
        linkFlags: ['-fsanitize=address'],
      });
      const program = await session.startCommand(process.execPath, [
        cli,
        'run',
        '--',
        session.path('program'),
      ]);
      assert.equal(await program.line(), 'ready');
      assert.equal(await program.ask('2'), '3');
      session.edit('unit.cc', 'values[n & 3]', 'values[n]');
      await session.patch('unit.cc');
      assert.equal(await program.ask('3'), '4');
      program.send('4');
      assert.match(await program.errorLine(/AddressSanitizer/), /stack-buffer-overflow/);
      assert.notEqual(await program.exit(), 0);
    }),
  );

  it(
    'ends with the exit status of the program',
    inSession(async (session) => {
      const run = await session.hotPatch('run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7');
      assert.equal(run.status, 7);
      assert.equal(run.stdout, 'out\n');
      assert.match(run.stderr, /err\n/);
    }),
  );
});

const library = `#include <string>
static long calls = 10;
thread_local long depth = 20;
long library_state() { static long local = 30; return ++local; }
long value(long n) { calls++; depth++; return n * 1000000 + calls * 10000 + depth * 100 + library_state(); }
`;

for (const optimisation of ['-O0', '-O2']) {
  describe(`a function in a shared library (${optimisation})`, () => {
    const prepare = async (session: Session) => {
      session.write('library.cc', library);
      session.copySample('driver');
      const compile = ['-g', optimisation, '-fPIC'];
      await session.run('g++', [...compile, '-shared', 'library.cc', '-o', 'libvalue.so']);
      await session.run('g++', ['-g', 'main.cc', '-o', 'program', '-L.', '-lvalue', '-Wl,-rpath,$ORIGIN']);
      const args = ['g++', ...compile, '-c', 'library.cc', '-o', 'library.o'];
      session.writeDatabase([{ directory: session.directory, file: 'library.cc', arguments: args }]);
      return session.start();
    };

    it(
      'is patched, with its static and thread_local variables as they were',
      inSession(async (session) => {
        const program = await prepare(session);
        assert.equal(await program.ask('1'), '1112131');
        session.edit('library.cc', 'n * 1000000', 'n * 5000000');
        const result = await session.patch('library.cc');
        assert.equal(await program.ask('1'), '5122232');
        assert.equal(result.processes[0]!.functions[0]!.module, session.path('libvalue.so'));
      }),
    );

    it(
      'is patched in a library that was loaded with dlopen',
      inSession(async (session) => {
        const program = await prepare(session);
        await program.stop();
        session.write(
          'loader.cc',
          `#include <dlfcn.h>
           #include <cstdlib>
           #include <iostream>
           int main() {
             void *library = dlopen("./libvalue.so", RTLD_NOW | RTLD_LOCAL);
             auto value = reinterpret_cast<long (*)(long)>(dlsym(library, "_Z5valuel"));
             std::cout << "ready" << std::endl;
             for (long n; std::cin >> n;) std::cout << value(n) << std::endl;
           }`,
        );
        await session.run('g++', ['-g', 'loader.cc', '-o', 'loader', '-ldl']);
        const loader = await session.start('loader');
        assert.equal(await loader.ask('1'), '1112131');
        session.edit('library.cc', '++local', 'local += 5');
        await session.patch('library.cc');
        assert.equal(await loader.ask('1'), '1122236');
      }),
    );
  });
}

describe('threads', () => {
  it(
    'that wait in system calls see no EINTR, and pick the new code up when they return',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <errno.h>
         #include <poll.h>
         #include <pthread.h>
         #include <unistd.h>
         static int pipes[2];
         static long interrupted = 0, woken = 0;
         static long weight(void) { return 1; }
         static void *wait_for_bytes(void *unused) {
           for (char byte;;) {
             if (read(pipes[0], &byte, 1) == 1) __atomic_add_fetch(&woken, weight(), __ATOMIC_SEQ_CST);
             else if (errno == EINTR) __atomic_add_fetch(&interrupted, 1, __ATOMIC_SEQ_CST);
           }
           return unused;
         }
         long value(long n) {
           static pthread_t threads[4];
           if (!threads[0]) {
             if (pipe(pipes)) return -1;
             for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, wait_for_bytes, 0);
           }
           long before = __atomic_load_n(&woken, __ATOMIC_SEQ_CST);
           if (n > 0) {
             if (write(pipes[1], "xxxx", n) < 0) return -1;
             while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) < before + n) poll(0, 0, 1);
           }
           return interrupted * 1000 + woken;
         }`,
        { language: 'c', flags: ['-O0', '-g'], linkFlags: ['-pthread'] },
      );
      assert.equal(await unit.value(4), 4);
      await unit.editAndPatch('{ return 1; }', '{ return 10; }');
      assert.equal(await unit.value(0), 4);
      assert.ok([14, 24, 34, 44].includes(await unit.value(1)));
    }),
  );
});
