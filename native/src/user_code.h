// Threads that will not run code of the program: helpers of libc (the one that starts the functions of SIGEV_THREAD
// timers), and those that wait for a signal which cannot come. They block all signals, and nothing that is done to the
// program's functions concerns them.
#pragma once

#include "process.h"

#include <cstdint>

namespace hot_fix {

/** Whether the address lies in libc, its thread library or the dynamic loader. */
bool is_part_of_libc(std::uintptr_t address);
bool is_part_of_libc(const MemoryMap &map, std::uintptr_t address);

/** False only when the thread is blocked in a system call after which it runs nothing but code of libc, or from which
 * it never comes back. */
bool may_run_user_code(int tid);

} // namespace hot_fix
