// Makes sure that no thread is inside bytes that are about to be replaced: waits, for each thread by itself, until
// it was seen outside. Sends no signals, so no system call is interrupted. The entries must be closed before (int3
// or a jump to itself), so that a thread that is outside stays outside.
#pragma once

#include "failure.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Bytes of an entry behind the first instruction: where no thread may stand. */
struct Tail {
  std::uintptr_t start, end;
  const char *symbol;
};

/** Whether the address is inside one of the tails. */
const Tail *tail_at(const List<Tail> &tails, std::uintptr_t address);

/** Waits for at most two seconds, then fails with thread-unresponsive. `on_delay` is called once when it takes
 * longer than the short time for which threads may be held. */
bool wait_until_outside(const List<Tail> &tails, void (*on_delay)(), Failure &failure);

} // namespace hot_fix
