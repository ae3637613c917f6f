// The locks of the process's loader (glibc's), as far as it can be known who has them without waiting for them.
#pragma once

namespace hot_fix {

/** Finds where they are, unless that is known. Called by the worker before it serves; waits for no library to be loaded. */
void find_loader_locks();

/** Whether another thread has one of them; also true where they were not found. Holds for as long as no other thread
 * runs. */
bool may_loader_be_locked();

} // namespace hot_fix
