// Shared libraries that a patch needs and the program was linked without: loaded by the process's own loader, for all of
// it, before the patch's symbols are bound. They stay: what they began (streams, threads' storage) ends with the process.
#pragma once

#include "failure.h"

namespace hot_fix {

/** Has the loader load a library, by its name or its path, unless one of that name is there. Fails with
 * library-not-loaded, or with tracer-attached while a debugger holds all other threads: one of them may have a lock of
 * malloc, which the loader needs. */
bool load_library(const char *name, Failure &failure);

} // namespace hot_fix
