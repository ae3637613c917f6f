// The part of the random search that is in `npm test`: the same cases each time.
import { strict as assert } from 'node:assert';
import { EngineWorld } from '../support/live_program';
import { caseOf } from './cases';
import { runCase } from './run';

const FIRST = 1;
const COUNT = 24;

describe('random edits of random programs are what a full build makes of them', function () {
  this.timeout(0); // a wait that cannot be met fails by itself
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
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
