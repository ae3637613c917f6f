// Objects of classes that a save lays out otherwise: with virtual functions, constructors and members of the library, held
// by pointers of the library, of two types at once; and what of C++ is refused.
import { strict as assert } from 'node:assert';
import { hasValueArgument } from '../../extension/engine/types/changed_layouts';
import type { PatchResult } from '../../extension/engine/model/result';
import { includeDirectory } from '../support/runtime_process';
import { build, type Built, EngineWorld, type Observed, type ProgramPlan } from '../support/live_program';

const HEADER = `#pragma once
#include <memory>
#include <string>
#include <vector>
namespace game {
struct Access;
class Shape {
public:
  explicit Shape(long size) : size_(size), name_("a shape with a long name") {}
  virtual ~Shape() = default;
  virtual long area() const { return size_; }
  void rename(const std::string &name) { name_ = name; }
  long width() const;
private:
  friend struct Access;
  long size_;
  std::string name_;
};
struct Item { int price; Item *next; };
long price_of(const Item &item);
}
`;
const LARGER = HEADER.replace('  long size_;', '  long height_ = 3;\n  long size_;').replace(
  'struct Item { int price;',
  'struct Item { long count; int price;',
);

const GAME = `#include <atomic>
#include <sys/epoll.h>
#include <thread>
#include <unistd.h>
#include "hot_fix.h"
#include "shapes.h"
using namespace game;
static std::vector<std::unique_ptr<Shape>> *shapes;
static Item *items;
static std::atomic<long> sum, frames, wanted, watched;
static void enumerate_shapes(hot_fix_visit visit, void *visitor, void *) {
  for (std::unique_ptr<Shape> &shape : *shapes) visit(reinterpret_cast<void **>(&shape), visitor);
}
static void enumerate_items(hot_fix_visit visit, void *visitor, void *) {
  for (Item **item = &items; *item; item = &(*item)->next) visit(reinterpret_cast<void **>(item), visitor);
}
static void release(void *object, void *) { ::operator delete(object); }
static void *allocate(size_t size, void *) { return ::operator new(size); }
__attribute__((noinline)) static void add() {
  while (static_cast<long>(shapes->size()) < wanted) {
    shapes->push_back(std::make_unique<Shape>(shapes->size() + 1));
    Item *item = new Item();
    item->price = static_cast<int>(shapes->size());
    item->next = items;
    items = item;
  }
}
__attribute__((noinline)) static void frame() {
  long now = 0;
  add();
  for (const auto &shape : *shapes) now += shape->area();
  for (const Item *item = items; item; item = item->next) now += 1000 * price_of(*item);
  sum = now;
  frames++;
}
__attribute__((noinline)) static void watch() {
  static int epoll = -1, ends[2];
  if (!watched || epoll >= 0) return;
  epoll = epoll_create1(0);
  if (pipe(ends)) return;
  epoll_event event{};
  event.data.ptr = items;
  epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
}
static void play() {
  if (frames < 0) return;
  for (;;) {
    frame();
    watch();
    usleep(1000);
    hot_fix_can_patch_now();
  }
}
extern "C" long start(long n) {
  const hot_fix_migration of_shapes = {sizeof of_shapes, "game::Shape", enumerate_shapes, allocate, release, nullptr, 0};
  const hot_fix_migration of_items = {sizeof of_items, "game::Item", enumerate_items, nullptr, release, nullptr, 0};
  shapes = new std::vector<std::unique_ptr<Shape>>;
  wanted = n;
  hot_fix_use_sync_points(5000);
  if (hot_fix_add_migration(&of_shapes) < 0 || hot_fix_add_migration(&of_items) < 0) return -2;
  std::thread(play).detach();
  while (!frames) usleep(100);
  return n;
}
extern "C" long score(long n) {
  const long before = frames;
  while (frames < before + 2) usleep(100);
  return sum + 0 * n;
}
extern "C" long watch_items(long n) {
  const long before = frames;
  watched = n;
  while (frames < before + 2) usleep(100);
  return n;
}
`;
const SHAPES = `#include <new>
#include <string.h>
#include "hot_fix.h"
#include "shapes.h"
long game::Shape::width() const { return size_; }
long game::price_of(const Item &item) { return item.price; }
`;

const migrator = (shape: string, item: string, how = ''): string => `
#include "${shape}"
#include "${item}"
struct game::Access {
  static void move(const hot_fix_object *object) {
    const void *before = object->before;
    auto *after = new (object->after) Shape(HOT_FIX_MEMBER(before, long, HOT_FIX_BEFORE_game_Shape_size_));
    after->name_ = HOT_FIX_MEMBER(before, std::string, HOT_FIX_BEFORE_game_Shape_name_);
    ${how}
  }
};
extern "C" int hot_fix_migrate(const hot_fix_object *object) {
  if (!strcmp(object->type, "game::Shape")) game::Access::move(object);
  else if (!strcmp(object->type, "game::Item")) {
    auto *after = new (object->after) game::Item();
    after->count = 100;
    after->price = HOT_FIX_MEMBER(object->before, int, HOT_FIX_BEFORE_game_Item_price);
    game::Item *next = HOT_FIX_MEMBER(object->before, game::Item *, HOT_FIX_BEFORE_game_Item_next);
    after->next = static_cast<game::Item *>(object->moved(next));
  }
  else return 1;
  return 0;
}
`;

describe('an argument of a template', () => {
  it('is a value, or only leads to one', () => {
    const values = [
      'std::vector<game::P, std::allocator<game::P> >',
      'Pool<const game::P, 3>',
      'A<B<game::P> >',
    ];
    const others = [
      'std::vector<game::P*, std::allocator<game::P*> >',
      'std::unique_ptr<game::P, std::default_delete<game::P> >',
      'std::tuple<game::P*, std::default_delete<game::P> >',
      'std::vector<game::Pool, std::allocator<game::Pool> >',
    ];
    for (const name of values) assert.ok(hasValueArgument(name, 'game::P'), name);
    for (const name of others) assert.ok(!hasValueArgument(name, 'game::P'), name);
  });
});

for (const [compiler, level] of [
  ['gcc', '-O0'],
  ['clang', '-O2'],
] as const)
  describe(`classes with another layout (${compiler} ${level})`, () => {
    let world: EngineWorld;
    let built: Built;
    let live: Observed;
    let headers: string[];
    const plan: ProgramPlan = {
      compilers: compiler === 'gcc' ? { c: 'gcc', cxx: 'g++' } : { c: 'clang', cxx: 'clang++' },
      flags: ['-g', level, `-I${includeDirectory}`],
      module: 'executable',
      units: [{ file: 'game.cc' }, { file: 'shapes.cc' }],
      linkFlags: [`-L${includeDirectory}/../lib`, '-lhot_fix', `-Wl,-rpath,${includeDirectory}/../lib`],
      observers: ['start', 'score', 'watch_items'].map((name) => ({ name, returns: 'number' })),
    };
    const ask = async (name: string, n: number): Promise<string> =>
      (await live.observe(name, [n])).replace(/ \|.*$/, '');
    const save = (texts: Record<string, string>): Promise<PatchResult> => world.save(built, live, texts);
    const OLD = '210210'; // 20 shapes and items

    before(async () => {
      world = new EngineWorld();
      built = await build(world.newDirectory(), plan, {
        'shapes.h': HEADER,
        'game.cc': GAME,
        'shapes.cc': SHAPES,
      });
      live = await world.startLive(built);
      assert.equal(await ask('start', 20), '20');
      assert.equal(await ask('score', 0), OLD);
      const { refusals } = await save({ 'shapes.h': LARGER });
      headers = ['Shape', 'Item'].map(
        (name) =>
          refusals.flatMap(
            ({ message }) => new RegExp(` (\\S+${name}\\.h) has both`).exec(message)?.[1] ?? [],
          )[0]!,
      );
      assert.ok(
        headers.every((header) => header !== undefined),
        JSON.stringify(refusals),
      );
    });
    after(() => world.dispose());

    it('are refused where values of them may be anywhere', async () => {
      const text = SHAPES + migrator(headers[0]!, headers[1]!);
      const cases: [text: string, expected: RegExp][] = [
        ['std::vector<game::Shape> all; long of_all() { return all[0].area(); }', /std::vector<game::Shape/],
        [
          'struct Round : game::Shape { Round() : Shape(1) {} }; long round() { static Round *one; return one->area(); }',
          /Round` consists of it/,
        ],
        [
          'long of_lambda(long n) { game::Shape s(n); return [s] { return s.area(); }(); }',
          /consists of it|is one/,
        ],
      ];
      for (const [more, expected] of cases) {
        const { outcome, refusals } = await save({ 'shapes.h': LARGER, 'shapes.cc': text + more });
        assert.equal(outcome, 'refused');
        assert.match(refusals.map(({ message }) => message).join('\n'), expected);
      }
      const virtual = LARGER.replace(
        '  void rename',
        '  virtual long more() const { return 1; }\n  void rename',
      );
      const { refusals } = await save({ 'shapes.h': virtual, 'shapes.cc': text });
      assert.match(refusals.map(({ message }) => message).join('\n'), /its virtual functions are others/);
      assert.equal(await ask('score', 0), OLD);
    });

    it('are refused when a new object leads to an old one, or it throws', async () => {
      for (const [how, expected] of [
        [
          'static const void *kept; kept = before; after->height_ = (long)kept;',
          /an address in an object of the old `game::Shape`/,
        ],
        ['throw std::string("no");', /^hot_fix_migrate of `game::Shape` threw std::/],
      ] as const) {
        const text = SHAPES + migrator(headers[0]!, headers[1]!, how);
        const { outcome, refusals } = await save({ 'shapes.h': LARGER, 'shapes.cc': text });
        assert.equal(outcome, 'refused');
        assert.match(refusals[0]!.message, expected);
        assert.equal(await ask('score', 0), OLD);
      }
    });

    it('are refused while their code runs', async () => {
      const text = GAME.replace('    usleep(1000);', '    if (!items) price_of(*items);\n    usleep(1000);');
      const { refusals } = await save({
        'shapes.h': LARGER,
        'shapes.cc': SHAPES + migrator(headers[0]!, headers[1]!),
        'game.cc': text,
      });
      assert.deepEqual(
        refusals.map(({ code }) => code),
        ['caller-active'],
      );
      assert.match(
        refusals[0]!.message,
        /play.* is running, and its old code may have objects of the old layout$/,
      );
      assert.equal(await ask('score', 0), OLD);
    });

    it('are patched, both types at once', async () => {
      const { outcome, refusals, processes } = await save({
        'shapes.h': LARGER.replace('return size_;', 'return size_ * height_;'),
        'shapes.cc':
          SHAPES.replace('return item.price', 'return item.price + item.count') +
          migrator(headers[0]!, headers[1]!),
        'game.cc': GAME,
      });
      assert.equal(outcome, 'patched', JSON.stringify(refusals));
      assert.deepEqual(
        [...processes[0]!.migrated!].sort((a, b) => (a.type < b.type ? -1 : 1)),
        [
          { type: 'game::Item', objects: 20 },
          { type: 'game::Shape', objects: 20 },
        ],
      );
      assert.equal(await ask('score', 0), String(1000 * (210 + 2000) + 3 * 210));
    });

    it('are refused when the kernel has a pointer to one', async () => {
      assert.equal(await ask('watch_items', 1), '1');
      const texts = {
        'shapes.h': LARGER.replace('long count;', 'long count; long weight;'),
        'shapes.cc': SHAPES + migrator(headers[0]!, headers[1]!),
      };
      await save(texts);
      const { refusals } = await save(texts);
      assert.match(
        refusals[0]!.message,
        /^an epoll instance holds 0x\w+, an address in an object of the old `game::Item`/,
      );
    });
  });
