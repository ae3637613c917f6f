// Functions of the program by their names, also where it does not export them.
#pragma once

#include <cstdint>

namespace hot_fix {

/** A function with external linkage that the loader finds in the global scope, or else is in the symbol table (.symtab) of
 * the program's file; 0 when there is none. The file is read whole: not to be asked often. */
std::uintptr_t find_in_program(const char *name);

} // namespace hot_fix
