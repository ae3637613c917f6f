// Waits for the new thread, which loads the runtime while the whole process runs. Last of the steps.
#pragma once

#include "block.h"
#include "failure.h"

namespace hot_fix {

/** True when the runtime has started. Else not-loaded with the loader's words, late, or ended. The new thread takes
 * the mapping away when this has the result. */
bool wait_for_runtime(int pid, const char *library, std::uint64_t mapping, const Block &block, std::uint64_t deadline,
                      Failure &failure);

} // namespace hot_fix
