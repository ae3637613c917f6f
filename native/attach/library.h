// How the process comes to the library: by its path, or, where the process sees other files (containers) or may not
// read it, by a file in memory that is filled from here.
#pragma once

#include "block.h"
#include "failure.h"

namespace hot_fix {

/** The library that the process's C library can load: with a glibc before 2.34 that in `old_libc/` beside the one
 * given, if there is one. `buffer` has room for PATH_MAX bytes. */
const char *library_for(const Modules &modules, const Entrances &entrances, const char *library, char *buffer);

/** Writes the path, or the wish for a file in memory, into the block. */
bool choose_library_path(int pid, const char *library, Block &block, Failure &failure);

/** Fills the file that the new thread has made, and tells it. */
bool fill_memory_file(int pid, const char *library, std::uint64_t mapping, int descriptor, Failure &failure);

} // namespace hot_fix
