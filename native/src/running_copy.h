// Two copies of the runtime in one process: the program has one linked into it, and was started with the library.
#pragma once

#include <dlfcn.h>

namespace hot_fix {

/** The same function of the copy that runs, where that is another one than this; else null. What a program gives to the
 * copy that is linked into it is meant for that one. */
template <class Function> Function in_running_copy(Function own, const char *name) {
  const auto other = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  return other != own ? other : nullptr;
}

} // namespace hot_fix
