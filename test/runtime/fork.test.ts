// The runtime in programs that fork: the child has one of its own, whatever its parent was doing.
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { inRuntimeSession, RuntimeProcess } from '../support/runtime_process';
import { addTo, program, returning } from '../support/guest_program';

describe('a process that forks', () => {
  it(
    'gives each child a runtime that knows the patches it inherited',
    inRuntimeSession(async (session) => {
      const text = program(
        '',
        `if (!strncmp(line, "fork", 4)) {
           pid_t child = fork();
           if (child != 0) { waitpid(child, 0, 0); puts("parent"); continue; }
           printf("%d\\n", getpid());
           continue;
         }`,
      ).replace('char line[64];', 'char line[64]; setvbuf(stdin, 0, _IONBF, 0);');
      const parent = await session.run(text);
      await addTo(parent, 1);
      const pid = Number(await parent.ask('fork'));
      const child = new RuntimeProcess(session, parent.program, parent.executable, pid);
      await child.announced();
      assert.equal(child.identity.pid, pid);
      const [inherited] = (await child.done('status')).functions;
      assert.equal(inherited!.version, 1);
      assert.equal(await child.ask(''), '2');
      const original = parent.fix('value', 'new_value');
      const file = child.patchFile(returning(5), {}, { functions: [original] });
      await child.done('patch', `file ${file}`);
      assert.equal(await child.ask(''), '6');
      await child.revert('value', 1);
      assert.equal(await child.ask(''), '2');
      await child.revert('value', 0);
      assert.equal(await child.ask(''), '1');
      assert.equal(await parent.ask('end'), 'parent');
      assert.equal(existsSync(child.controlDirectory), false);
      assert.equal(await parent.ask(''), '2');
      assert.equal((await parent.done('status')).functions[0]!.version, 1);
    }),
  );

  for (const runtime of ['preloaded', 'attached'] as const)
    it(
      `from many threads, while it is patched, loses none of its children (${runtime})`,
      inRuntimeSession(async (session) => {
        const process = await session.run(
          program(
            'for (int i = 0; i < 3; i++) { pthread_t t; pthread_create(&t, 0, breed, 0); }',
            `if (!strncmp(line, "count", 5)) {
             int a = __atomic_load_n(&children, __ATOMIC_SEQ_CST);
             while (__atomic_load_n(&children, __ATOMIC_SEQ_CST) < a + 30) usleep(100);
             printf("%d\\n", __atomic_load_n(&lost, __ATOMIC_SEQ_CST));
             continue;
           }`,
            `static int children, lost;
           static void *breed(void *unused) {
             for (;;) {
               int status = 0;
               pid_t child = fork();
               if (child == 0) { int v = value(1); free(malloc(100)); _exit(v == 1 || v == 2 ? 0 : 1); }
               if (child > 0) waitpid(child, &status, 0);
               if (child < 0 || status != 0) __atomic_fetch_add(&lost, 1, __ATOMIC_SEQ_CST);
               __atomic_fetch_add(&children, 1, __ATOMIC_SEQ_CST);
             }
             return unused;
           }`,
          ),
          { runtime },
        );
        await addTo(process, 1);
        for (let round = 0; round < 40; round++) await process.revert('value', round % 2);
        assert.equal(await process.ask('count'), '0');
      }),
    );

  it(
    'and its children that exec, by fork, vfork and posix_spawn, are undisturbed',
    inRuntimeSession(async (session) => {
      const process = await session.run(
        program(
          '',
          `if (!strncmp(line, "spawn", 5)) {
             int bad = 0;
             for (int i = 0; i < 10; i++) {
               pid_t p = vfork();
               if (p == 0) { execl("/bin/true", "true", (char *)0); _exit(9); }
               int s; waitpid(p, &s, 0); bad += s != 0;
               p = fork();
               if (p == 0) { execl("/bin/true", "true", (char *)0); _exit(9); }
               waitpid(p, &s, 0); bad += s != 0;
               bad += system("exit 0") != 0;
             }
             printf("%d\\n", bad);
             continue;
           }`,
        ),
      );
      await addTo(process, 1);
      assert.equal(await process.ask('spawn'), '0');
      assert.equal(await process.ask(''), '2');
    }),
  );

  it(
    'replaces the directory of the program that it was before exec',
    inRuntimeSession(async (session) => {
      const process = await session.run(program('', 'if (!strncmp(line, "exec", 4)) execv(argv[0], argv);'));
      await addTo(process, 1);
      const before = process.identity.workerTid;
      process.program.send('exec');
      assert.equal(await process.program.line(), 'ready');
      const again = new RuntimeProcess(session, process.program, process.executable, process.pid);
      await again.reannounced(before);
      assert.deepEqual((await again.done('status')).functions, []);
      await addTo(again, 3);
      assert.equal(await again.ask(''), '4');
    }),
  );
});
