// Islands, where they cannot be made.
import { strict as assert } from 'node:assert';
import { runWithInternals } from '../support/runtime_internals';
import { inRuntimeSession } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

const source = `
#include <cstdio>
static void say(const char *what, long number) { std::printf("%s %ld\\n", what, number); }
#include "island.h"
#include "memory.h"
using namespace hot_fix;
int main() {
  look_for_places();
  const Island *island = place_island(0x200000000, nullptr);
  if (island == nullptr) return 1;
  // More than 2 GiB from the slot of the first: a place that a debugger's breakpoint in the distance of a jump leads to.
  const char *before = static_cast<char *>(allocate_record(16));
  long made = 0;
  for (int i = 0; i < 1000; i++) made += place_island(0x400000000, island) != nullptr;
  say("made", made);
  say("bytes between two records", static_cast<char *>(allocate_record(16)) - before);
  return 0;
}
`;

describe('an island that is out of reach of the slot it is to share', () => {
  it(
    'costs no memory, however often it is asked for',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('there is room between any two records');
      assert.deepEqual(await runWithInternals(session, source), ['made 0', 'bytes between two records 16']);
    }),
  );
});
