// A save that lays a type out otherwise while objects of it exist: made anew where the program and the text say how, and
// refused where anything could be left of the old layout.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import type { PatchResult } from '../../extension/engine/model/result';
import { includeDirectory } from '../support/runtime_process';
import { build, type Built, EngineWorld, type Observed, type ProgramPlan } from '../support/live_program';

const HEADER = `#pragma once
struct player {
  long points;
  struct player *friend_of;
};
struct player *make_player(long points);
long points_of(const struct player *player);
`;
/** Another member in front, so that all code of the type changes. */
const LARGER = HEADER.replace('  long points;', '  long level;\n  long points;');

/** A thread that plays all the time, in frames. What the driver's thread sees are numbers. */
const GAME = `#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "hot_fix.h"
#include "player.h"
static struct player *players[10];
static struct player *leader;
static int count;
static long volatile sum, frames, wanted, misses;
static void enumerate(hot_fix_visit visit, void *visitor, void *context) {
  for (int i = 0; i < count; i++) {
    visit((void **)&players[i], visitor);
    visit((void **)&players[i]->friend_of, visitor);
  }
  if (!misses) visit((void **)&leader, visitor);
}
static void release(void *object, void *context) { free(object); }
__attribute__((noinline)) static void frame(void) {
  long now = 0;
  for (; count < wanted; count++) players[count] = make_player(count + 1);
  if (count && !leader) { leader = players[count - 1]; players[0]->friend_of = leader; }
  for (int i = 0; i < count; i++) now += points_of(players[i]);
  if (count && players[0]->friend_of == leader) now += 1000 * points_of(leader);
  sum = now;
  frames++;
}
static void *play(void *unused) {
  for (;;) {
    frame();
    usleep(1000);
    hot_fix_can_patch_now();
  }
  return unused;
}
long start(long n) {
  pthread_t thread;
  const struct hot_fix_migration migration = {sizeof migration, "player", enumerate, 0, release, 0, 0};
  if (frames) return -1;
  wanted = n;
  hot_fix_use_sync_points(5000);
  if (hot_fix_add_migration(&migration) < 0) return -2;
  pthread_create(&thread, 0, play, 0);
  while (!frames) usleep(100);
  return n;
}
long score(long n) {
  const long before = frames;
  while (frames < before + 2) usleep(100);
  return sum + 0 * n;
}
long miss(long n) { return misses = n; }
`;

const PLAYER = `#include <stdlib.h>
#include "hot_fix.h"
#include "player.h"
struct player *make_player(long points) {
  struct player *player = (struct player *)calloc(1, sizeof *player);
  player->points = points;
  return player;
}
long points_of(const struct player *player) { return player->points; }
`;

const migrator = (header: string, body: string): string => `
#include "${header}"
#ifdef __cplusplus
extern "C"
#endif
int hot_fix_migrate(const struct hot_fix_object *object) {
  struct player *after = (struct player *)object->after;
  after->points = HOT_FIX_MEMBER(object->before, long, HOT_FIX_BEFORE_player_points);
  after->friend_of = (struct player *)object->moved(HOT_FIX_MEMBER(object->before, struct player *, HOT_FIX_BEFORE_player_friend_of));
  ${body}
  return 0;
}
`;

const SETS = [
  ['gcc', '-O0', 'c'],
  ['gcc', '-O2', 'c'],
  ['clang', '-O0', 'c'],
  ['clang', '-O2', 'c'],
  ['gcc', '-O0', 'cc'],
  ['clang', '-O2', 'cc'],
] as const;

const OLD = '10055';

for (const [compiler, level, suffix] of SETS)
  describe(`a type with another layout (${compiler} ${level}, .${suffix})`, () => {
    let world: EngineWorld;
    let built: Built;
    let live: Observed;
    let header: string;
    const [game, player] = [`game.${suffix}`, `player.${suffix}`];
    const plan: ProgramPlan = {
      compilers: compiler === 'gcc' ? { c: 'gcc', cxx: 'g++' } : { c: 'clang', cxx: 'clang++' },
      flags: ['-g', level, `-I${includeDirectory}`],
      module: 'executable',
      units: [{ file: game }, { file: player }],
      linkFlags: [`-L${includeDirectory}/../lib`, '-lhot_fix', `-Wl,-rpath,${includeDirectory}/../lib`],
      observers: [
        { name: 'start', returns: 'number' },
        { name: 'score', returns: 'number' },
        { name: 'miss', returns: 'number' },
      ],
    };
    const c = (text: string): string =>
      suffix === 'c' ? text : text.replace(/^long (start|score|miss)\(/gm, 'extern "C" long $1(');
    const ask = async (name: string, n: number): Promise<string> =>
      (await live.observe(name, [n])).replace(/ \|.*$/, '');
    const score = () => ask('score', 0);
    const save = (texts: Record<string, string>): Promise<PatchResult> => world.save(built, live, texts);
    const refused = async (texts: Record<string, string>, expected: RegExp, code = 'layout-changed') => {
      const result = await save(texts);
      assert.equal(result.outcome, 'refused', JSON.stringify(result.warnings));
      assert.deepEqual([...new Set(result.refusals.map((refusal) => refusal.code))], [code]);
      assert.match(result.refusals.map(({ message }) => message).join('\n'), expected);
      assert.equal(await score(), OLD);
      return result.refusals[0]!.message;
    };
    const patched = async (texts: Record<string, string>) => {
      const result = await save(texts);
      assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
      return result.processes[0]!;
    };

    before(async () => {
      world = new EngineWorld();
      built = await build(world.newDirectory(), plan, {
        'player.h': HEADER,
        [game]: c(GAME),
        [player]: PLAYER,
      });
      live = await world.startLive(built);
      assert.equal(await ask('start', 10), '10');
      assert.equal(await score(), OLD);
    });
    after(() => world.dispose());

    it('is refused without a function that makes the objects anew, and says where both layouts are', async () => {
      const message = await refused(
        { 'player.h': LARGER },
        /`struct player` differs from the one in the running process: .*To have its objects migrated, define hot_fix_migrate/,
      );
      header = / (\S+player\.h) has both layouts/.exec(message)![1]!;
      const text = readFileSync(header, 'utf8');
      assert.match(text, /^#define HOT_FIX_BEFORE_player_points 0 \/\* long( int)?, 8 bytes \*\/$/m);
      assert.match(text, /^#define HOT_FIX_AFTER_player_points 8 /m);
      assert.match(text, /^#define HOT_FIX_AFTER_player_size 24$/m);
    });

    it('is refused as long as code that uses it is not saved with it', async () => {
      await refused(
        { [player]: PLAYER + migrator(header, '') },
        /that needs all code that uses it: save player\.h as well/,
      );
    });

    it('is refused where the program does not do its part, and everything is as it was', async () => {
      const save = (body: string) => ({ 'player.h': LARGER, [player]: PLAYER + migrator(header, body) });
      await refused(save('return 3;'), /^hot_fix_migrate of `player` returned 3$/, 'migration-failed');
      await refused(save('*(volatile int *)8 = 1;'), /ended with SIGSEGV/, 'migration-failed');
      assert.equal(await ask('miss', 1), '1');
      await refused(save(''), /an address in an object of the old `player`/, 'pointer-left');
      assert.equal(await ask('miss', 0), '0');
    });

    it('is refused where objects exist that nobody enumerates', async () => {
      const cases: [text: string, expected: RegExp][] = [
        [
          'static struct player one; long of_one(void) { return points_of(&one); }',
          /(the variable `one` is one|a variable of a function or of the unit is one)/,
        ],
        [
          'struct team { int size; struct player best; }; long best(struct team *t) { return t->best.points; }',
          /`(struct )?team` consists of it/,
        ],
        [
          'long in_frame(long n) { struct player p; p.points = n; return points_of(&p); }',
          /a variable of a function or of the unit is one/,
        ],
        ['long by_value(struct player p) { return p.points; }', /take or return values of it/],
      ];
      for (const [text, expected] of cases)
        await refused({ 'player.h': LARGER, [player]: PLAYER + migrator(header, '') + text }, expected);
    });

    it('is patched, with all objects made anew', async () => {
      const process = await patched({
        'player.h': LARGER,
        [player]:
          PLAYER.replace('return player->points', 'return player->level + player->points') +
          migrator(header, 'after->level = 100;'),
      });
      assert.deepEqual(process.migrated, [{ type: 'player', objects: 10 }]);
      assert.equal(await score(), '111055'); // 10 * 100 more, and 100 * 1000 more
    });

    it('is compared with its new layout from then on', async () => {
      const process = await patched({
        [player]:
          PLAYER.replace('return player->points', 'return 2 * player->level + player->points') +
          migrator(header, 'after->level = 100;'),
      });
      assert.equal(process.migrated, undefined);
      assert.equal(await score(), '212055');
      const status = await world.engine.status(live.pid);
      assert.deepEqual(
        status.layouts?.map(({ type }) => type),
        ['player'],
      );
      const reverted = await world.engine.revert({ pids: [live.pid], functions: 'all' });
      assert.deepEqual(
        reverted.refusals.map(({ code }) => code),
        ['migrated-since'],
      );
      assert.equal(await score(), '212055');
    });

    it('migrates a second time, and back again', async () => {
      const third = LARGER.replace('  struct player *', '  char name[40];\n  struct player *');
      const texts = (text: string) => ({
        'player.h': text,
        [player]: PLAYER + migrator(header, ''),
      });
      const again = await save(texts(third));
      assert.match(again.refusals[0]!.message, /has both layouts since now: save again/);
      assert.deepEqual((await patched(texts(third))).migrated, [{ type: 'player', objects: 10 }]);
      assert.equal(await score(), OLD);
      await refused(texts(HEADER), /has both layouts since now: save again/);
      assert.deepEqual((await patched(texts(HEADER))).migrated, [{ type: 'player', objects: 10 }]);
      assert.equal(await score(), OLD);
    });
  });
