// Which code the threads are in or will return into: a conservative scan of every thread's program counter and
// stack words. Exact for threads that are blocked; of a thread that is running, the used part of its stack is read
// as a whole, so that it may be counted for a call that it has already left, never the other way round. Disturbs
// nobody: memory is read with process_vm_readv, which a racing munmap cannot make fault.
#pragma once

#include "code_ranges.h"
#include "process.h"
#include "threads.h"

#include <cstdint>

namespace hot_fix {

/** What of a stack is looked at: every word; those that may be the counters of code that a signal interrupted; or the
 * frames that are proven (thread_frames.h), and where they are not, every word that may be a return address. */
enum class Words { any, interrupted, frames };

/** Counts what a thread holds that runs, and returns its stack pointer; 0, and nothing counted, when it does not show. */
using LookAtRunning = std::uintptr_t (*)(const MemoryMap &map, int tid, Ranges &ranges);

/** Counts threads in each range. Waits up to `patience` microseconds for running threads to block, which makes the
 * result exact, and then has a look at those that do not, if there is a way. False when the threads cannot be listed.
 * Sorts the ranges by start. */
bool scan_stacks(List<CodeRange> &ranges, std::uint64_t patience, Words which = Words::any,
                 LookAtRunning look_at_running = nullptr);

/** Counts the words of a stack from its pointer up. */
void count_stack(const MemoryMap &map, std::uintptr_t stack_pointer, int tid, Words which, Ranges &ranges);

/** Counts a blocked thread's program counter and stack; false, and nothing counted, when it has moved meanwhile. */
bool count_blocked(const MemoryMap &map, int tid, const ThreadState &state, Words which, Ranges &ranges);

} // namespace hot_fix
