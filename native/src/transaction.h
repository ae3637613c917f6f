// One change of function entries, all or nothing: every function of a save, and every revert, becomes current
// together. Writes under running threads; the steps are in transaction.cc. Works on records that exist already, and
// loads nothing.
#pragma once

#include "failure.h"
#include "function_table.h"
#include "guard.h"
#include "memory.h"
#include "migration.h"

namespace hot_fix {

struct Change {
  Function *function;
  Version *to; // an existing version, or a new one that joins the function's list when the change succeeds
};

/** Makes the versions current. When it fails, all entries are as they were; `entered` then says whether threads may
 * have been let into the new versions meanwhile. Objects are migrated with it, where that was asked for. The caller holds a
 * NoFork. */
bool commit(const List<Change> &changes, const List<Guard> &guards, Migration &migration, bool &entered,
            Failure &failure);

} // namespace hot_fix
