// Whether the process still holds an address that it must not hold: looked for in everything that it has written, its
// stacks and the saved registers of its threads among it, while all threads are parked. Conservative: a word that only looks
// like such an address counts as well, but for what lies in memory that was freed, as far as that can be told.
#pragma once

#include "failure.h"
#include "guard.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Addresses that nobody may hold. */
struct Span {
  std::uintptr_t start, end;
  const char *name;
  bool is_object; // what lies in it may hold such addresses: nobody comes there any more
};

/** Looks for words that lie in a span, and for return addresses into `code`, whose stacks no thread may be on. Sorts the
 * spans. Fails with pointer-left, caller-active, or migration-failed when not all can be searched. */
bool no_pointer_is_left(List<Span> &spans, const List<Guard> &code, Failure &failure);

} // namespace hot_fix
