// An edit of a header that many units include: refused as soon as one unit shows that it cannot be, and patched in all of
// them otherwise.
import { strict as assert } from 'node:assert';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PatchResult } from '../../extension/engine/model/result';
import { build, EngineWorld, type ProgramPlan } from '../support/live_program';

const HEADER = `#pragma once
struct Item { long id; long price; };
inline long worth(const Item &item, long n) { return item.price * n + 1; }
`;
const UNITS = 5;
const unit = (i: number) => `#include "item.h"
Item item_${i}{${i}, ${10 * i}};
extern "C" long value_${i}(long n) { item_${i}.price++; return worth(item_${i}, n) + item_${i}.id; }
`;

/** Holds all units but the first up as long as there is a file `hold`. */
const wrapper = (compiler: string) => `#!/bin/sh
here=$(dirname "$0")
case " $* " in
  *" u0.cc "*) ;;
  *" -ffunction-sections "*) while [ -e "$here/hold" ]; do sleep 0.05; done ;;
esac
exec ${compiler} "$@"
`;

for (const [name, level] of [
  ['g++', '-O0'],
  ['g++', '-O2'],
  ['clang++', '-O2'],
] as const)
  describe(`an edit of a header of ${UNITS} units (${name} ${level})`, () => {
    let world: EngineWorld;
    let directory: string;
    let save: (header: string) => Promise<PatchResult>;
    let values: () => Promise<number[]>;

    before(async () => {
      world = new EngineWorld();
      directory = world.newDirectory();
      const compiler = join(directory, name);
      writeFileSync(compiler, wrapper(name));
      chmodSync(compiler, 0o755);
      const numbers = Array.from({ length: UNITS }, (_, i) => i);
      const plan: ProgramPlan = {
        compilers: { c: 'gcc', cxx: compiler },
        flags: ['-g', level],
        module: 'executable',
        units: numbers.map((i) => ({ file: `u${i}.cc` })),
        observers: numbers.map((i) => ({ name: `value_${i}`, returns: 'number' })),
      };
      const texts = Object.fromEntries(numbers.map((i) => [`u${i}.cc`, unit(i)]));
      const built = await build(directory, plan, { ...texts, 'item.h': HEADER });
      const live = await world.startLive(built);
      save = (header) => world.save(built, live, { 'item.h': header });
      values = () => Promise.all(numbers.map(async (i) => parseInt(await live.observe(`value_${i}`, [2]))));
    });
    after(() => world.dispose());

    it('that changes a type is refused by the first unit, while the others are still being compiled', async () => {
      writeFileSync(join(directory, 'hold'), '');
      const result = await save(HEADER.replace('long id;', 'long id; long weight;'));
      rmSync(join(directory, 'hold'));
      assert.equal(result.outcome, 'refused', JSON.stringify(result));
      assert.deepEqual(
        result.refusals.map(({ code, file, line }) => [code, file, line]),
        [['layout-changed', join(directory, 'item.h'), 2]],
      );
    });

    it('that changes a function is live in all units', async () => {
      const was = await values();
      const result = await save(HEADER.replace('+ 1;', '+ 1001;'));
      assert.equal(result.outcome, 'patched', JSON.stringify(result));
      assert.deepEqual(
        await values(),
        was.map((value) => value + 2 + 1000),
      );
      assert.equal((await save(HEADER)).outcome, 'reverted');
    });

    it('that does not compile in one unit says so', async () => {
      const result = await save(HEADER.replace('long price; };', 'long price; };\n#error "not here"'));
      assert.equal(result.outcome, 'failed');
      assert.deepEqual([...new Set(result.refusals.map(({ code }) => code))], ['compile-failed']);
    });
  });
