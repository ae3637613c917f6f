// Makes every processor that runs a thread of this process execute a serialising instruction, so that it fetches
// code that was changed (SDM volume 3, 9.1.3). Disturbs no thread.
#pragma once

#include "failure.h"

namespace hot_fix {

/** To be called before synchronize_processors, in each transaction. The first call in a process takes some
 * milliseconds (the kernel waits for its processors), so the worker makes it when it starts. */
bool prepare_synchronization(Failure &failure);

void synchronize_processors();

} // namespace hot_fix
