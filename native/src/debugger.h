// Announces patches to debuggers through the GDB JIT interface (GDB manual, "JIT Compilation Interface"): with the
// symbol file of a patch they show its functions, lines and variables, also when they attach later.
#pragma once

#include "function_table.h"

namespace hot_fix {

/** Announces a copy of the file as the symbol file of the patch, in place of the one announced before. Without
 * memory, or with a file that cannot be read, the patch stays as it was: false. */
bool announce_to_debugger(Patch &patch, const char *file);

void withdraw_from_debugger(Patch &patch);

} // namespace hot_fix
