// The part of the matrix that is in `npm test`: a test for each family of constructs in a variant.
import { strict as assert } from 'node:assert';
import { EngineWorld } from '../support/live_program';
import type { Construct } from './construct';
import { FAMILIES } from './constructs';
import { type Depth, runConstructs } from './run';
import { missing, variant } from './variants';

/** Of each kind of thing that can go wrong one, for variants that are not run in full. */
const SAMPLE = [
  ...['static-function', 'new-helper', 'own-address', 'cold-part', 'jump-table', 'string-shortened'],
  ...[
    'const-table-strings',
    'mergeable-neighbours',
    'static-counter',
    'local-static-counter',
    'local-thread-local',
  ],
  ...['multiple-inheritance-thunk', 'virtual-method', 'noinline-template', 'lambda-stored', 'throw-value'],
  ...['library-call-added', 'inline-header-function'],
];

const named = (ids: readonly string[]): Construct[] =>
  Object.values(FAMILIES)
    .flat()
    .filter(({ id }) => ids.includes(id));

/** A few, for variants in which one thing is special. */
export const few = (...ids: string[]): typeof FAMILIES => ({ 'a few': named(ids) });

/** @param families which; only the sample when it is not given */
export function describeMatrix(id: string, families?: typeof FAMILIES, depth: Depth = 'full'): void {
  describe(`in ${id}, an edit is right or refused as meant`, function () {
    this.timeout(0); // a wait that cannot be met fails by itself
    const absent = missing(variant(id));
    if (absent !== undefined) {
      it(`not run: ${absent}`);
      return;
    }
    for (const [family, constructs] of Object.entries(families ?? { sample: named(SAMPLE) })) {
      it(`${family} (${constructs.length})`, async () => {
        const world = new EngineWorld();
        try {
          const cells = await runConstructs(world, variant(id), constructs, depth);
          assert.equal(cells.length, constructs.length);
          const wrong = cells.filter(({ outcome }) => outcome === 'wrong');
          assert.deepEqual(
            wrong.map(({ construct, detail }) => `${construct}: ${detail}`),
            [],
          );
        } finally {
          await world.dispose();
        }
      });
    }
  });
}
