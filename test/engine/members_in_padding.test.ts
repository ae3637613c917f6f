// A member that is put where a type has padding, while objects of the type exist: patched when all code that uses the type
// comes with the save, with a warning that says what objects that exist have there; refused when some does not.
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PatchResult } from '../../extension/engine/model/result';
import { build, type Built, EngineWorld, type Observed, type ProgramPlan } from '../support/live_program';

const HEADER = `#pragma once
struct item { long id;
int price; };
long price_of(struct item item);
struct item copied(const struct item *item);
`;
const WITH_HITS = HEADER.replace('int price;', 'int price; int hits;');

const STORE = `#include <stdlib.h>
#include <string.h>
#include "item.h"
struct item first = {1, 10};
struct item *volatile zeroed, *volatile filled;
static void make(void) {
  if (zeroed) return;
  zeroed = (struct item *)calloc(1, sizeof *zeroed);
  filled = (struct item *)malloc(sizeof *filled);
  memset(filled, 7, sizeof *filled);
}
long value(long n) { make(); return n + price_of(first); }
`;
/** Counts in the new member: of the variable, of zeroed memory, and of what was filled; each after a copy. */
const COUNTING = STORE.replace(
  'return n +',
  `struct item one = copied(&first), two = copied(zeroed), three = copied(filled);
   first.hits++; zeroed->hits++; filled->hits++;
   if (n < 0) return one.hits * 100 + two.hits * 10 + (three.hits - 0x07070707);
   return n +`,
);
const PRICES = `#include "item.h"
long price_of(struct item item) { return item.price * 1000 + item.id; }
struct item copied(const struct item *item) { struct item copy = {item->id, item->price}; copy = *item; return copy; }
long other(long n) { struct item item = {n, 5}; return price_of(copied(&item)); }
`;

const SETS = [
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['clang', '-O0'],
  ['clang', '-O2'],
] as const;

for (const [c, level] of SETS)
  describe(`a member in the padding of a type of two units (${c} ${level})`, () => {
    let world: EngineWorld;
    let built: Built;
    let live: Observed;
    let save: (texts: Record<string, string>) => Promise<PatchResult>;
    const plan: ProgramPlan = {
      compilers: { c, cxx: 'g++' },
      flags: ['-g', level],
      module: 'executable',
      units: [{ file: 'store.c' }, { file: 'prices.c' }],
      observers: [
        { name: 'value', returns: 'number' },
        { name: 'other', returns: 'number' },
      ],
    };
    const observe = async (name: string, n: number): Promise<number> =>
      parseInt(await live.observe(name, [n]));

    before(async () => {
      world = new EngineWorld();
      const texts = { 'item.h': HEADER, 'store.c': STORE, 'prices.c': PRICES };
      built = await build(world.newDirectory(), plan, texts);
      live = await world.startLive(built);
      save = (texts) => world.save(built, live, texts);
      assert.equal(await observe('value', 1), 10002);
    });
    after(() => world.dispose());

    it('is refused when only one unit was saved, and says what to save with it', async () => {
      writeFileSync(join(built.directory, 'item.h'), WITH_HITS);
      const result = await save({ 'store.c': COUNTING });
      assert.deepEqual(
        result.refusals.map(({ code, file, line }) => [code, file, line]),
        [['layout-changed', join(built.directory, 'item.h'), 3]],
        JSON.stringify(result),
      );
      assert.match(
        result.refusals[0]!.message,
        /^`hits` \(int, offset 12\) is new in `struct item`, where its padding was: that needs all code that uses it: save item\.h as well, which defines it\.$/,
      );
      assert.equal(await observe('value', 1), 10002);
    });

    it('is refused when only one function is to be patched', async () => {
      const result = await world.engine.patch({
        files: ['item.h', 'store.c'].map((name) => join(built.directory, name)),
        target: { kind: 'pid', pids: [live.pid] },
        functionName: 'value',
      });
      assert.match(result.refusals[0]!.message, /that needs all functions of the files that use it/);
    });

    it('is live in all units, with a warning that says what objects have there', async () => {
      const result = await save({ 'item.h': WITH_HITS, 'store.c': COUNTING });
      assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
      const warning = result.warnings.find(({ code }) => code === 'member-in-padding');
      assert.deepEqual([warning?.file, warning?.line], [join(built.directory, 'item.h'), 3]);
      assert.match(
        warning!.message,
        /^`hits` \(int, offset 12\) is new in `struct item`, where its padding was\. Objects that exist have there what the padding held: 0 in variables of static storage/,
      );
      assert.match(warning!.layouts!.after, /12 +4 +int hits/);
      assert.deepEqual([await observe('value', -1), await observe('value', -1)], [0, 111]);
      assert.equal(await observe('value', 1), 10002);
    });

    it('is no news to the units that are saved after that', async () => {
      const result = await save({ 'prices.c': PRICES.replace('{n, 5}', '{n, 6, 9}') });
      assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
      assert.deepEqual(result.warnings, []);
      assert.equal(await observe('other', 2), 6002);
    });

    it('is not taken out of one unit while others have it', async () => {
      writeFileSync(join(built.directory, 'item.h'), HEADER);
      const result = await save({ 'store.c': STORE.replace('return n +', 'return 5 + n +') });
      assert.equal(
        result.refusals[0]?.message,
        '`hits` (int, offset 12) is gone from `struct item`, where other code that was patched has it: that needs all code that uses it: save item.h as well, which defines it.',
      );
    });

    it('may be taken out again together with another edit', async () => {
      const result = await save({
        'item.h': HEADER,
        'store.c': STORE.replace('return n +', 'return 5 + n +'),
        'prices.c': PRICES,
      });
      assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
      assert.deepEqual(
        result.warnings.filter(({ code }) => code === 'member-in-padding'),
        [],
      );
      assert.equal(await observe('value', 1), 10007);
    });

    it('goes with the edit when that is undone', async () => {
      const result = await save({ 'item.h': HEADER, 'store.c': STORE, 'prices.c': PRICES });
      assert.equal(result.outcome, 'reverted', JSON.stringify(result.refusals));
      assert.equal(await observe('value', 1), 10002);
    });
  });

describe('a member in the padding of a type', () => {
  let world: EngineWorld;
  before(() => {
    world = new EngineWorld();
  });
  after(() => world.dispose());

  const refusalOf = async (
    compilers: ProgramPlan['compilers'],
    texts: Record<string, string>,
    edited: Record<string, string>,
  ): Promise<PatchResult> => {
    const plan: ProgramPlan = {
      compilers,
      flags: ['-g', '-O1'],
      module: 'executable',
      units: Object.keys(texts)
        .filter((file) => !file.endsWith('.h'))
        .map((file) => ({ file })),
      observers: [{ name: 'value', returns: 'number' }],
    };
    const built = await build(world.newDirectory(), plan, texts);
    const live = await world.startLive(built);
    return world.save(built, live, edited);
  };

  it('is refused when a unit declares the type by itself, alike', async () => {
    const type = 'struct item { long id; int price; };';
    const result = await refusalOf(
      { c: 'gcc', cxx: 'g++' },
      {
        'item.h': `${type}\n`,
        'one.c':
          '#include "item.h"\nstatic struct item item;\nlong value(long n) { return n + item.price; }\n',
        'two.c': `${type}\nvoid copy(struct item *to, struct item *from) { *to = *from; }\n`,
        'three.c': 'struct item { long other; };\nlong three(struct item *item) { return item->other; }\n',
      },
      {
        'item.h': `${type.replace('int price;', 'int price; int hits;')}\n`,
        'one.c':
          '#include "item.h"\nstatic struct item item;\nlong value(long n) { return n + ++item.hits; }\n',
      },
    );
    assert.match(
      result.refusals[0]?.message ?? '',
      /where its padding was: two\.c may use it as well, without including item\.h as far as debug information says/,
    );
  });

  it('is told of each type, also where another source has had one of that name already', async () => {
    const text = (
      name: string,
      members: string,
      used: string,
    ) => `struct own { long id; int price; ${members} };
static struct own *volatile own;
long ${name}(long n) { static struct own one = {1, 2}; own = &one; return n + ++own->${used}; }
`;
    const plan: ProgramPlan = {
      compilers: { c: 'gcc', cxx: 'g++' },
      flags: ['-g', '-O1'],
      module: 'executable',
      units: [{ file: 'one.c' }, { file: 'two.c' }],
      observers: [
        { name: 'one', returns: 'number' },
        { name: 'two', returns: 'number' },
      ],
    };
    const built = await build(world.newDirectory(), plan, {
      'one.c': text('one', '', 'price'),
      'two.c': text('two', 'char hits;', 'price'),
    });
    const live = await world.startLive(built);
    const both = {
      'one.c': text('one', 'char hits, more;', 'more'),
      'two.c': text('two', 'char hits, more;', 'more'),
    };
    for (const [file, saved] of Object.entries(both)) {
      const alone = await world.save(built, live, { [file]: saved });
      assert.equal(alone.outcome, 'patched', JSON.stringify(alone.refusals));
      assert.deepEqual(
        alone.warnings.map(({ code, file }) => [code, file]),
        [['member-in-padding', join(built.directory, file)]],
      );
    }
  });

  const ITEM = `#pragma once
struct item { item(); long id; int price; };
`;
  const classes = {
    'item.h': ITEM,
    'one.cc':
      '#include "item.h"\nitem::item() : id(1), price(2) {}\nstatic item object;\nextern "C" long value(long n) { return n + object.price; }\n',
    'two.cc': '#include "item.h"\nvoid copy(item &to, const item &from) { to = from; }\n',
  };
  const edited = {
    'item.h': ITEM.replace('int price;', 'int price; int hits = 0;'),
    'one.cc': classes['one.cc'].replace('n + object.price', 'n + ++object.hits'),
  };

  it('is refused when clang does not say whether a unit that has the name copies objects', async () => {
    const result = await refusalOf({ c: 'clang', cxx: 'clang++' }, classes, edited);
    assert.match(result.refusals[0]?.message ?? '', /two\.cc may use it as well/);
  });

  it('is patched where gcc says it', async () => {
    const result = await refusalOf({ c: 'gcc', cxx: 'g++' }, classes, edited);
    assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
    assert.equal(result.warnings[0]?.code, 'member-in-padding');
  });
});
