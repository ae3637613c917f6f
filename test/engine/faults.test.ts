// A part of `npm run faults`: saves in which somebody is killed or the disk is full.
import { canMount, FAULTS } from '../faults/saves';

describe('a save leaves the program whole, and the next one works and leaves nothing, when', () => {
  for (const [what, run] of Object.entries(FAULTS)) {
    it(what, async function () {
      if (what.includes('is full') && !canMount) this.skip();
      await run(3);
    });
  }
});
