// Makes sure that no thread is inside bytes that are about to be replaced, nor will return into them from a signal
// handler. Looks at each thread by itself until it was seen outside. Sends no signals, so no system call is
// interrupted. The entries must lead elsewhere before (an int3, a jump), so that a thread that is outside stays
// outside.
#pragma once

#include "code_ranges.h"
#include "failure.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Bytes of an entry behind the first instruction, where no thread may stand: a range whose owner is the symbol. */
inline CodeRange tail(std::uintptr_t start, std::uintptr_t end, const char *symbol) {
  return {start, end, const_cast<char *>(symbol), 0, 0, false, false};
}

/** Whether all threads are blocked outside of the tails at this moment: does not wait for any. */
bool all_are_outside(List<CodeRange> &tails);

/** Looks for at most `patience` microseconds for each thread to be outside. */
bool all_get_outside(List<CodeRange> &tails, std::uint64_t patience);

struct Waiting {
  std::uint64_t hold;   // microseconds for which threads may be held
  void (*on_delay)();   // called once when it takes longer than that; null: that time is the limit
  bool (*stays_safe)(); // asked with each look: false ends the waiting (signals-blocked); null: not asked
};

/** Waits for at most two seconds, longer only for threads that get no processor; then fails with thread-unresponsive. */
bool wait_until_outside(List<CodeRange> &tails, const Waiting &waiting, Failure &failure);

} // namespace hot_fix
