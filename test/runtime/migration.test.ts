// Objects that are made anew in another layout while the program stands still (hot_fix.h, migrations): all of it happens,
// or nothing, whatever the program's part of it does.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import {
  type Answer,
  includeDirectory,
  inRuntimeSession,
  type ProgramOptions,
  type RuntimeProcess,
  type RuntimeSession,
} from '../support/runtime_process';

/** Players that threads count all the time, and a migration whose functions do what a line of input says. */
const source = `
#include "hot_fix.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ucontext.h>
struct player { long points; struct player *next; char fill[100]; };
struct team { long size; };
#define MOST 100000
static struct player *players[MOST];
static struct player *leader;
static struct team *team;
static struct player fixed = {7, 0, {0}};
static volatile int count = 3, counting = 1, torn;
static char mode[32];
__attribute__((noinline)) long points_of(const struct player *p) { __asm__ volatile("" ::: "memory"); return p->points; }
__attribute__((noinline)) long size_of(const struct team *t) { __asm__ volatile("" ::: "memory"); return t->size; }
static int is(const char *word) { return !strcmp(mode, word); }
static void enumerate(hot_fix_visit visit, void *visitor, void *context) {
  static struct player *nobody;
  (void)context;
  for (int i = 0; i < count; i++) {
    if (is("misses one") && i == 2) continue;
    visit((void **)&players[i], visitor);
    if (players[i] && players[i]->next) visit((void **)&players[i]->next, visitor);
    if (is("twice")) visit((void **)&players[i], visitor);
    if (is("crashes") && i == 1) *(volatile int *)0 = 1;
    if (is("hangs") && i == 1) for (;;) pause();
    if (is("ends its thread")) pthread_exit(0);
  }
  visit(0, visitor);
  visit((void **)&nobody, visitor);
  if (!is("forgets the leader")) visit((void **)&leader, visitor);
  if (is("variable")) { nobody = &fixed; visit((void **)&nobody, visitor); nobody = 0; }
  if (is("wild place")) visit((void **)16, visitor);
  if (is("overlap")) { nobody = (struct player *)((char *)players[0] + 8); visit((void **)&nobody, visitor); nobody = 0; }
}
static void enumerate_teams(hot_fix_visit visit, void *visitor, void *context) { (void)context; visit((void **)&team, visitor); }
static volatile long allocated, released;
static void *allocate(size_t size, void *context) {
  (void)context;
  if (is("no memory")) return 0;
  allocated++;
  return malloc(size);
}
static void release(void *object, void *context) { (void)context; released++; free(object); }
static volatile int resting;
static int rests;
__attribute__((noinline)) static void rest(void) {
  __atomic_fetch_add(&rests, 1, __ATOMIC_SEQ_CST);
  while (resting) usleep(20000);
  __atomic_fetch_sub(&rests, 1, __ATOMIC_SEQ_CST);
}
static void before(const struct hot_fix_patch *patch, void *context) {
  (void)patch, (void)context;
  resting = 1;
  while (counting && rests < 2) usleep(100);
}
static void after(const struct hot_fix_patch *patch, void *context) { (void)patch, (void)context; resting = 0; }
static const struct hot_fix_hooks hooks = {sizeof hooks, before, after, 0, 3000};
static void *run(void *unused) {
  while (counting) {
    if (resting) rest();
    for (int i = 0; i < count; i++) torn += points_of(players[i]) != i + 1;
    usleep(100);
  }
  return unused;
}
static struct hot_fix_migration migration = {sizeof migration, "game::player", enumerate, allocate, release, 0, 500};
static struct hot_fix_migration of_teams = {sizeof of_teams, "team", enumerate_teams, 0, 0, 0, 500};
static void make(void) {
  for (int i = 0; i < count; i++) {
    if (!players[i]) players[i] = (struct player *)calloc(1, sizeof **players);
    players[i]->points = i + 1;
  }
}
int main(void) {
  char line[64];
  pthread_t thread[2];
  setvbuf(stdout, 0, _IONBF, 0);
  make();
  players[0]->next = leader = players[2];
  team = (struct team *)calloc(1, sizeof *team);
  team->size = 11;
  for (int i = 0; i < 2; i++) pthread_create(&thread[i], 0, run, 0);
  hot_fix_add_hooks(&hooks);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\\n")] = 0;
    if (!strcmp(line, "add")) {
      int number = hot_fix_add_migration(&migration), again = hot_fix_add_migration(&migration), exists = errno;
      int bad = hot_fix_add_migration(0), teams = hot_fix_add_migration(&of_teams);
      printf("%d %d %d %d\\n", number > 0 && teams > number, again == -1 && exists == EEXIST, bad, hot_fix_remove_migration(99));
    } else if (!strncmp(line, "mode ", 5)) {
      strcpy(mode, line + 5);
      if (is("array")) team = (struct team *)realloc(team, 16 * sizeof *team);
      puts(mode);
    } else if (!strcmp(line, "many")) {
      counting = 0;
      for (int i = 0; i < 2; i++) pthread_join(thread[i], 0);
      count = MOST;
      for (int i = 3; i < MOST; i++) { players[i] = (struct player *)calloc(1, sizeof **players); players[i]->points = i + 1; }
      puts("many");
    } else if (!strcmp(line, "none")) {
      counting = 0;
      for (int i = 0; i < 2; i++) pthread_join(thread[i], 0);
      for (int i = 0; i < count; i++) players[i] = 0;
      count = 0;
      leader = 0;
      puts("none");
    } else {
      long sum = 0;
      for (int i = 0; i < count; i++) sum += points_of(players[i]);
      printf("%ld %ld torn %d leader %d next %d\\n", sum, size_of(team), torn, count && leader == players[2],
             count && players[0] == 0 ? 0 : count == 0 || *(struct player **)((char *)players[0] + 8) == leader);
    }
  }
  return 0;
}`;

/** The new layout has the points, twice, behind the pointer; a team is another than a player. */
const newCode = (migrate: string) => `
#include "hot_fix.h"
#include <string.h>
#include <unistd.h>
struct player { long level; struct player *next; long points; char fill[140]; };
struct before { long points; struct player *next; };
struct team { char name[32]; long size; };
extern "C" long new_points_of(const struct player *p) { return p->points / 2; }
extern "C" long new_size_of(const struct team *t) { return t->size; }
static int move(const struct hot_fix_object *object) {
  static int calls;
  (void)calls;
  if (!strcmp(object->type, "team")) {
    if (object->before_size != 8 || object->after_size != sizeof(team)) return 98;
    ((struct team *)object->after)->size = *(const long *)object->before;
    return 0;
  }
  const struct before *before = (const struct before *)object->before;
  struct player *after = (struct player *)object->after;
  for (unsigned i = 0; i < sizeof *after; i++) if (((const char *)object->after)[i]) return 99;
  after->points = 2 * before->points;
  after->next = (struct player *)object->moved(before->next);
  return 0;
}
extern "C" int hot_fix_migrate(const struct hot_fix_object *object) {
  static volatile int number;
  number++;
  ${migrate}
  return move(object);
}`;

const TYPES = ['migrate 120 168 abc game::player', 'migrate 8 40 def team'];

async function migrate(process: RuntimeProcess, text = '', types = TYPES): Promise<Answer> {
  const file = process.patchFile(
    newCode(text),
    { points_of: 'new_points_of', size_of: 'new_size_of' },
    { language: 'c++', flags: ['-fno-exceptions', `-I${includeDirectory}`] },
  );
  const symbol = execFileSync('nm', [file], { encoding: 'utf8' }).match(/^(\w+) T hot_fix_migrate$/m);
  assert.ok(symbol, 'the patch has no hot_fix_migrate');
  return process.request('patch', `file ${file}`, `migrator 0x${symbol[1]}`, ...types);
}

const OLD = '6 11 torn 0 leader 1 next 1';

const builds: [name: string, options: ProgramOptions][] = [
  ['gcc, preloaded', {}],
  ['clang at -O2, built in', { compiler: 'clang', flags: ['-O2'], runtime: 'preloaded' }],
  ['gcc at -O0, not position-independent', { flags: ['-O0', '-no-pie'] }],
];

async function start(session: RuntimeSession, options: ProgramOptions): Promise<RuntimeProcess> {
  const linked: ProgramOptions = { runtime: 'embedded', ...options };
  if (options.runtime === 'preloaded') linked.runtime = 'both';
  const process = await session.run(
    source.replace('puts("ready")', 'init_hot_fix_signal(), puts("ready")'),
    linked,
  );
  assert.equal(await process.ask('add'), '1 1 -1 -1');
  assert.equal(await process.ask('?'), OLD);
  return process;
}

for (const [name, options] of builds)
  describe(`a migration (${name})`, () => {
    it(
      'makes all objects anew, with the pointers to them, while threads use them',
      inRuntimeSession(async (session) => {
        const process = await start(session, options);
        assert.equal(await process.ask('mode twice'), 'twice');
        const answer = await migrate(process);
        assert.equal(answer.error, null);
        assert.deepEqual(answer.warnings, []);
        assert.deepEqual(answer.migrated, [
          { type: 'game::player', objects: 3 },
          { type: 'team', objects: 1 },
        ]);
        assert.deepEqual(answer.status.layouts, [
          { type: 'game::player', layout: 'abc' },
          { type: 'team', layout: 'def' },
        ]);
        assert.equal(await process.ask('?'), OLD);
        const message = await process.refused('migrated-since', 'revert', 'all');
        assert.match(message, /^version 0 of \w+ is from before objects were migrated to another layout$/);
        await process.refused('migrated-since', 'detach');
        assert.equal(await process.ask('?'), OLD);
      }),
    );

    it(
      'takes everything back when the program does not do its part',
      inRuntimeSession(async (session) => {
        const process = await start(session, options);
        const failures: [mode: string, text: string, code: string, message: RegExp][] = [
          [
            'misses one',
            '',
            'pointer-left',
            /holds 0x\w+, an address in an object of the old `game::player`/,
          ],
          [
            'forgets the leader',
            '',
            'pointer-left',
            /of the old `game::player`, and the migration did not visit it$/,
          ],
          ['crashes', '', 'migration-failed', /^enumerate of `game::player` ended with SIGSEGV$/],
          ['wild place', '', 'migration-failed', /^enumerate of `game::player` ended with SIGSEGV$/],
          ['ends its thread', '', 'migration-failed', /^enumerate of `game::player` ended its thread$/],
          ['variable', '', 'migration-failed', /which is a variable of the program: each object must/],
          ['overlap', '', 'migration-failed', /objects there would overlap$/],
          ['no memory', '', 'migration-failed', /^allocate of `game::player` gave no memory$/],
          [
            'fine',
            'if (number == 2) return 5;',
            'migration-failed',
            /^hot_fix_migrate of `game::player` returned 5$/,
          ],
          ['fine', 'if (number == 2) *(volatile int *)8 = 1;', 'migration-failed', /ended with SIGSEGV$/],
          ['fine', 'if (number == 4) __builtin_trap();', 'migration-failed', /`team` ended with SIGILL$/],
          [
            'fine',
            'if (number == 2) for (;;) pause();',
            'migration-failed',
            /did not return in \d+ ms, and is left alone/,
          ],
        ];
        for (const [mode, text, code, expected] of failures) {
          assert.equal(await process.ask(`mode ${mode}`), mode);
          const answer = await migrate(process, text);
          assert.equal(answer.error?.code, code, `${mode}: ${JSON.stringify(answer)}`);
          assert.match(answer.error.message, expected);
          assert.deepEqual(answer.status.layouts, []);
          assert.equal(await process.ask('?'), OLD);
        }
      }),
    );

    it(
      'refuses types that the program has not added and arrays, and goes on after a hook that hangs',
      inRuntimeSession(async (session) => {
        const process = await start(session, options);
        const unknown = await migrate(process, '', ['migrate 8 16 abc nobody']);
        assert.match(unknown.error!.message, /^the program has added no migration of `nobody` /);
        assert.equal(await process.ask('mode array'), 'array');
        assert.match(
          (await migrate(process)).error!.message,
          /^the migration of `team` visited a pointer to memory that has room for several objects/,
        );
        assert.equal(await process.ask('?'), OLD);
        assert.equal(await process.ask('mode hangs'), 'hangs');
        assert.match(
          (await migrate(process)).error!.message,
          /^enumerate of `game::player` did not return in 500 ms/,
        );
        assert.equal(await process.ask('mode fine'), 'fine');
        assert.equal(await process.ask('?'), OLD);
        // The thread that does not return may have anything, and cannot be asked; other saves go on.
        assert.equal((await migrate(process)).error?.code, 'signals-blocked');
        await process.patch(
          'struct player { long points; }; long last(const struct player *p) { return 2 * p->points; }',
          { points_of: 'last' },
        );
        assert.match(await process.ask('?'), /^12 11 /);
      }),
    );

    it(
      'takes none',
      inRuntimeSession(async (session) => {
        const process = await start(session, options);
        assert.equal(await process.ask('none'), 'none');
        const answer = await migrate(process);
        assert.equal(answer.error, null);
        assert.deepEqual(
          answer.migrated.map(({ objects }) => objects),
          [0, 1],
        );
        assert.equal(await process.ask('?'), '0 11 torn 0 leader 0 next 1');
      }),
    );

    // Where addresses are small, some number among so many is one of them by chance.
    if (!options.flags?.includes('-no-pie'))
      it(
        'takes 100,000',
        inRuntimeSession(async (session) => {
          const process = await start(session, options);
          assert.equal(await process.ask('many'), 'many');
          const answer = await migrate(process);
          assert.equal(answer.error, null);
          assert.equal(answer.migrated[0]!.objects, 100_000);
          assert.equal(await process.ask('?'), '5000050000 11 torn 0 leader 1 next 1');
          assert.deepEqual(answer.warnings, []);
        }),
      );
  });
