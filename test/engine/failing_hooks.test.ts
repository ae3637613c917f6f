// Hooks that a program defines by their names and that fail in every way: a save is live all the same and says what
// happened, the process lives, and the next save works. In programs of C and C++.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../extension/engine/engine';
import type { PatchResult } from '../../extension/engine/model/result';
import { ready, withEngines } from '../support/engines';
import { includeDirectory } from '../support/runtime_process';
import { type Session, Unit, type UnitOptions, useSession } from '../support/session';
import { until } from '../support/until';

/** What the hooks do is a number that value() is given below -1000; at -1 they may go on. Both C and C++. */
const source = `#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "${join(includeDirectory, 'hot_fix.h')}"
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __cplusplus
extern "C" {
#endif
void throw_error(void);
void throw_one_that_aborts(void);
#pragma weak hot_fix_add_hooks
#pragma weak hot_fix_remove_hooks
#pragma weak hot_fix_can_patch_now
#pragma weak hot_fix_use_sync_points
#pragma weak init_hot_fix_signal
#ifdef __cplusplus
}
#endif
long value(long n);
static volatile int kind, released, is_locked, zero;
static int *volatile nowhere;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int recurse(int n) { volatile char room[4000]; room[0] = (char)n; return n < 0 ? n : recurse(n + 1) + room[0]; }
static int wait_inside(struct dl_phdr_info *info, size_t size, void *data) {
  while (!released) usleep(1000);
  return info == 0 || size == 0 || data == 0;
}
static void told_before(const struct hot_fix_patch *patch, void *name) {
  fprintf(stderr, "before %s %d\\n", (const char *)name, patch->function_count > 0);
}
static void told_after(const struct hot_fix_patch *patch, void *name) {
  fprintf(stderr, "after %s %d\\n", (const char *)name, patch->error == 0);
}
static int add(const char *name) {
  struct hot_fix_hooks hooks = {sizeof hooks, told_before, told_after, (void *)name, 0};
  return hot_fix_add_hooks(&hooks);
}
static int first;
static void act(int is_after) {
  switch (kind - is_after * 100) {
  case 1: while (!released) usleep(1000); break;
  case 2: while (!released) { } break;
  case 3: *nowhere = 1; break;
  case 4: abort();
  case 5: zero = 1000 / zero; break;
  case 6: zero = recurse(0); break;
  case 7: throw_error(); break;
  case 8: throw_one_that_aborts(); break;
  case 9: pthread_exit(0);
  case 10: pthread_mutex_lock(&lock); is_locked = 1; while (access("release", F_OK) != 0) usleep(1000); pthread_mutex_unlock(&lock); break;
  case 11: dl_iterate_phdr(wait_inside, 0); break;
  }
  if (kind == 20) fprintf(stderr, "%s %ld\\n", is_after ? "after" : "before", value(10));
  if (kind == 21) {
    const int one = add("one"), two = add("two");
    hot_fix_use_sync_points(0);
    fprintf(stderr, "%d %d %d %d\\n", init_hot_fix_signal(), hot_fix_can_patch_now(), hot_fix_remove_hooks(one), hot_fix_remove_hooks(two));
  }
  if (kind == 22 && !is_after) {
    first = add("a");
    add("b");
    add("c");
  }
  if (kind == 23 && !is_after) fprintf(stderr, "%d %d\\n", hot_fix_remove_hooks(first), add("d") > 0);
}
void hot_fix_before_patch(const struct hot_fix_patch *patch) { (void)patch; act(0); }
void hot_fix_after_patch(const struct hot_fix_patch *patch) { (void)patch; act(1); }
long value(long n) {
  if (n == -1) { released = 1; return n; }
  if (n <= -1000) { released = 0; kind = (int)(-1000 - n); return kind; }
  if (is_locked) { pthread_mutex_lock(&lock); pthread_mutex_unlock(&lock); }
  return n + 1;
}
`;
const thrower = `#include <cstdlib>
#include <stdexcept>
struct Aborts { ~Aborts() noexcept(false) { std::abort(); } };
extern "C" void throw_error() { throw std::runtime_error("no"); }
extern "C" void throw_one_that_aborts() { throw Aborts(); }
`;

/** Of a kind 1 to 9 the second function is the kind over 100. */
const KINDS: readonly { title: string; kind: number; warning: RegExp; isLeft?: boolean }[] = [
  {
    title: 'hangs',
    kind: 1,
    warning: /^the hook hot_fix_before_patch did not return in \d+ ms/,
    isLeft: true,
  },
  {
    title: 'hangs afterwards',
    kind: 101,
    warning: /^the hook hot_fix_after_patch did not return in \d+ ms/,
    isLeft: true,
  },
  {
    title: 'turns for ever',
    kind: 2,
    warning: /^the hook hot_fix_before_patch did not return in \d+ ms/,
    isLeft: true,
  },
  { title: 'crashes', kind: 3, warning: /^the hook hot_fix_before_patch ended with SIGSEGV$/ },
  { title: 'crashes afterwards', kind: 103, warning: /^the hook hot_fix_after_patch ended with SIGSEGV$/ },
  { title: 'aborts', kind: 4, warning: /^the hook hot_fix_before_patch ended with SIGABRT$/ },
  { title: 'divides by zero', kind: 5, warning: /^the hook hot_fix_before_patch ended with SIGFPE$/ },
  { title: 'overflows its stack', kind: 6, warning: /^the hook hot_fix_before_patch ended with SIGSEGV$/ },
  { title: 'throws', kind: 7, warning: /^the hook hot_fix_before_patch threw std::runtime_error$/ },
  {
    title: 'throws afterwards',
    kind: 107,
    warning: /^the hook hot_fix_after_patch threw std::runtime_error$/,
  },
  {
    title: 'throws what aborts when it is destroyed',
    kind: 8,
    warning: /^the hook hot_fix_before_patch threw/,
  },
  { title: 'ends its thread', kind: 9, warning: /^the hook hot_fix_before_patch ended its thread$/ },
];

/** One program that lives through all of it. */
class Subject {
  constructor(
    readonly engine: Engine,
    readonly session: Session,
    readonly unit: Unit,
  ) {}

  /** The number in the text that was saved last. */
  private get n(): number {
    return Number(/return n \+ (\d+);/.exec(this.session.read(this.unit.file))![1]);
  }

  /** What hooks do from now on. */
  async does(kind: number): Promise<void> {
    assert.equal(await this.unit.program.ask(String(-1000 - kind)), String(kind));
  }

  async release(): Promise<void> {
    assert.equal(await this.unit.program.ask('-1'), '-1');
    const { pid } = this.unit.program;
    const names = () =>
      readdirSync(`/proc/${pid}/task`).map((tid) => {
        try {
          return readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
        } catch {
          return '';
        }
      });
    await until(names, (all) => !all.includes('hot_fix_hook'));
  }

  /** An edit and its save. */
  saved(): Promise<PatchResult> {
    const { session, unit, engine } = this;
    session.edit(unit.file, `n + ${this.n};`, `n + ${this.n + 1};`);
    return engine.patch({
      files: [session.path(unit.file)],
      target: { kind: 'pid', pids: [unit.program.pid] },
    });
  }

  /** A save, which must be live; what it warns of. */
  async save(): Promise<string[]> {
    const result = await this.saved();
    assert.equal(result.outcome, 'patched', JSON.stringify(result, null, 1));
    for (const { code } of result.warnings) assert.equal(code, 'hook-failed');
    return result.warnings.map(({ message }) => message);
  }

  /** What value() returns in the text that was saved last. */
  result(n: number): number {
    return n + this.n;
  }

  async isLive(): Promise<void> {
    assert.equal(await this.unit.value(10), this.result(10));
  }
}

/** The program, built once for all tests of a `describe`. */
function useSubject({ flags, ...options }: UnitOptions & { flags: string[] }) {
  let unit: Unit;
  const world = useSession(async (session) => {
    session.write('thrower.cc', thrower);
    unit = await Unit.start(session, source, {
      ...options,
      flags: ['-g', '-pthread', ...flags],
      linkFlags: ['-lstdc++'],
      sources: ['thrower.cc'],
    });
  });
  return (test: (subject: Subject) => Promise<void>) => () =>
    withEngines(world.session, async (create) => {
      const engine = create();
      await ready(engine, unit.program.pid);
      await test(new Subject(engine, world.session, unit));
    });
}

for (const [language, compiler, level, more = []] of [
  ['c', 'gcc', '-O0'],
  ['c', 'gcc', '-O2', ['-no-pie', '-fno-pie']],
  ['c', 'clang', '-O0', ['-no-pie', '-fno-pie']],
  ['c', 'clang', '-O2'],
  ['cc', 'g++', '-O0', ['-no-pie', '-fno-pie']],
  ['cc', 'g++', '-O2'],
  ['cc', 'clang++', '-O0'],
  ['cc', 'clang++', '-O2', ['-no-pie', '-fno-pie']],
] as const)
  describe(`a hook of a program (${[compiler, level, ...more].join(' ')})`, () => {
    const withSubject = useSubject({ language, compiler, flags: [level, ...more] });

    it(
      'that fails is reported, the process lives, and the next save works',
      withSubject(async (subject) => {
        // The save that follows is that of the next kind: it has that one's warning alone.
        for (const { title, kind, warning, isLeft = false } of KINDS) {
          await subject.does(kind);
          const warnings = await subject.save();
          assert.equal(warnings.length, 1, `${title}: ${warnings.join(', ')}`);
          assert.match(warnings[0]!, warning, title);
          await subject.isLive();
          if (isLeft) {
            const [leftOut, ...others] = await subject.save();
            assert.match(leftOut!, /was left out: it has not returned from an earlier patch yet$/, title);
            assert.deepEqual(others, []);
            await subject.isLive();
            await subject.release();
          }
        }
        await subject.does(0);
        assert.deepEqual(await subject.save(), []);
        await subject.isLive();
      }),
    );

    it(
      'calls what is being patched and the runtime, and adds and removes others, which are called in order',
      withSubject(async (subject) => {
        const { program } = subject.unit;
        const tells = async (...lines: string[]) => {
          for (const line of lines) assert.equal(await program.errorLine(), line);
        };
        await subject.does(20);
        const before = subject.result(10);
        assert.deepEqual(await subject.save(), []);
        await tells(`before ${before}`, `after ${before + 1}`);
        await subject.does(21);
        assert.deepEqual(await subject.save(), []);
        await tells('0 0 0 0', '0 0 0 0');
        await subject.does(22);
        assert.deepEqual(await subject.save(), []);
        await subject.does(0);
        assert.deepEqual(await subject.save(), []);
        await tells(...['a', 'b', 'c'].map((name) => `before ${name} 1`));
        await tells(...['c', 'b', 'a'].map((name) => `after ${name} 1`));
        // One that is removed before its turn is not called, and neither is the one that takes its place, until the next.
        await subject.does(23);
        assert.deepEqual(await subject.save(), []);
        await tells('0 1', 'before b 1', 'before c 1', 'after c 1', 'after b 1');
        await subject.does(0);
        assert.deepEqual(await subject.save(), []);
        await tells(...['b', 'c', 'd'].map((name) => `before ${name} 1`));
        await tells(...['d', 'c', 'b'].map((name) => `after ${name} 1`));
        await subject.isLive();
      }),
    );

    it(
      'that blocks with a lock that the program needs keeps the program waiting, and no save',
      withSubject(async (subject) => {
        const { session, unit } = subject;
        await subject.does(10);
        const [warning, ...others] = await subject.save();
        assert.match(warning!, /^the hook hot_fix_before_patch did not return in \d+ ms, and is left alone$/);
        assert.deepEqual(others, []);
        const answer = unit.program.ask('10');
        const expected = subject.result(10);
        const [leftOut] = await subject.save();
        assert.match(leftOut!, /was left out: it has not returned from an earlier patch yet$/);
        session.write('release', '');
        assert.equal(Number(await answer), expected);
        await subject.isLive();
        await subject.does(0);
        await subject.release();
        assert.deepEqual(await subject.save(), []);
        await subject.isLive();
      }),
    );
  });

describe('a hook of a program that blocks with a lock of the loader', () => {
  const withSubject = useSubject({ language: 'c', flags: ['-O2'] });

  it(
    'is what the next save is refused for, and nothing is wrong when it goes on',
    withSubject(async (subject) => {
      await subject.does(11);
      assert.match((await subject.save()).join(), /^the hook hot_fix_before_patch did not return in \d+ ms/);
      const { outcome, refusals } = await subject.saved();
      assert.equal(outcome, 'failed');
      assert.deepEqual(
        refusals.map(({ code }) => code),
        ['answer-lost'],
      );
      assert.match(
        refusals[0]!.message,
        /its runtime waits for the loader's lock, which another thread holds/,
      );
      await subject.release();
      await subject.does(0);
      assert.deepEqual(await subject.save(), []);
      await subject.isLive();
    }),
  );
});
