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

/** What threads can do while guards are asked about: anything; anything but pass the closed entries; nothing. */
enum class Meanwhile { open, closed, parked };

/** Whether no guarded code is active; else caller-active. Running threads are given a few milliseconds to block, unless
 * all are parked. As long as entries are open there is time to look for the stacks of suspended coroutines anywhere in
 * memory; after that, only where a guard page is below. */
bool guards_are_clear(const List<Guard> &guards, Meanwhile meanwhile, Failure &failure);

} // namespace hot_fix
