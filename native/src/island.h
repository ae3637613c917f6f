// Islands: code of our own to which an entry may jump, and which jumps on to where its slot says. The code is written
// once and never changes; the slot is one word of data. Used where a target is out of reach of the entry, and where
// the four bytes behind an entry's first one decide where the jump must lead. Islands live as long as the process.
#pragma once

#include "failure.h"

#include <atomic>
#include <cstdint>

namespace hot_fix {

struct Island {
  std::uintptr_t address;
  std::atomic<std::uintptr_t> *slot; // shared by the twins of an island
};

/** Notes what addresses are kept free for the main stack. To be called before places are asked for. */
void look_for_places();

/** An island at exactly this address. `shared` is the island whose slot it uses, as its twin, which may be there
 * already; null: a slot of its own, which leads nowhere yet. Null when the place is taken or memory is short. */
Island *place_island(std::uintptr_t address, const Island *shared);

/** A new island in reach of a jump at `from`; null with out-of-reach or mprotect-failed. */
Island *make_island(std::uintptr_t from, const char *symbol, Failure &failure);

} // namespace hot_fix
