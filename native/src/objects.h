// Constructs the new objects of a patch (docs/PROTOCOL.md, section 4), and has them destroyed at the end of their
// module as the program's own are. Comes after loading and before anything is redirected.
#pragma once

#include "failure.h"
#include "loader.h"

namespace hot_fix {

/** In the order of the table, which is that of the compiler. Stops at the first that throws or crashes
 * (constructor-failed): then the patch stays in memory, because those before it are destroyed by its code. */
bool construct_objects(LoadedPatch &patch, Failure &failure);

} // namespace hot_fix
