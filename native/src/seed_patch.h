// Hand-written patches, as published: a shared object that defines `FIXTABLE fix_table`, loaded with dlopen. Loads
// and reads the table; redirects nothing.
#pragma once

#include "failure.h"
#include "function_table.h"
#include "hot_fix.h"

#include <cstddef>

namespace hot_fix {

struct SeedPatch {
  void *handle; // of dlopen
  const FIXTABLE *table;
  std::size_t count;
  Module module; // the patch's own
};

/** Loads a private copy of the file, so that building the patch anew does not change code that is in use, and
 * building it again under the same name gives a new patch. Fails with seed-patch-failed. */
bool load_seed_patch(const char *file, unsigned number, SeedPatch &patch, Failure &failure);

/** Describes what a table entry replaces: entry, bytes, size as far as its symbol tells. */
bool describe_seed_function(const FIXTABLE &entry, Function &function, std::uint64_t &target_size, Failure &failure);

} // namespace hot_fix
