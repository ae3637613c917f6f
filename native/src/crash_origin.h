// Whose code has crashed: the innermost that is not of the system's libraries, which crash on what they are called with.
#pragma once

#include "crash_document.h"

namespace hot_fix {

struct Origin {
  bool is_patched;  // a patch brought it
  char module[512]; // else the path of its module; "" when it is not known
};

/** On the worker. */
void find_origin(const Crash &crash, Origin &origin);

} // namespace hot_fix
