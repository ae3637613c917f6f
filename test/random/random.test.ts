// The part of the random search that is in `npm test`: the same cases each time.
import { strict as assert } from 'node:assert';
import { EngineWorld } from '../support/live_program';
import { caseOf } from './cases';
import { runCase } from './run';

/** Each way to build a program that the first 24 have, with the longest row of edits among those that are built alike. */
const SEEDS = [1, 3, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 21, 22, 23, 24];

describe('random edits of random programs are what a full build makes of them', function () {
  this.timeout(0); // a wait that cannot be met fails by itself
  for (const seed of SEEDS) {
    const made = caseOf(seed);
    it(`seed ${seed}: ${made.case.title}, ${made.models.length - 1} in a row`, async () => {
      const world = new EngineWorld();
      try {
        assert.equal(await runCase(world, made.case), undefined);
      } finally {
        await world.dispose();
      }
    });
  }
});
