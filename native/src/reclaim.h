// Takes superseded patches out of memory when it is certain that nothing needs them. When in doubt a patch stays:
// it is a few pages.
#pragma once

#include "failure.h"
#include "function_table.h"

namespace hot_fix {

/** Unmaps what can be unmapped; true when something was. Takes a while: not to be done while somebody waits. */
bool reclaim_patches();

/** Brings an unmapped patch back to its place, for a revert to one of its versions. */
bool restore_patch(Patch &patch, Failure &failure);

} // namespace hot_fix
