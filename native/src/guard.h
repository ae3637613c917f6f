// Guarded code: callers that rely on what the old version of their callee leaves alone. They must neither run nor be
// returned into at the moment when the new one becomes current.
#pragma once

#include "failure.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

struct Guard {
  std::uintptr_t start, length;
  const char *name;
};

/** Whether no guarded code is active; else caller-active. Running threads are given a few milliseconds to block, unless
 * all are `parked`. */
bool guards_are_clear(const List<Guard> &guards, bool parked, Failure &failure);

} // namespace hot_fix
