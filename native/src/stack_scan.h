// Which code the threads are in or will return into: a conservative scan of every thread's program counter and
// stack words. Exact for threads that are blocked; of a thread that is running, the used part of its stack is read
// as a whole, so that it may be counted for a call that it has already left, never the other way round. Disturbs
// nobody: memory is read with process_vm_readv, which a racing munmap cannot make fault.
#pragma once

#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Code to look for; `hits` counts the threads in it. */
struct CodeRange {
  std::uintptr_t start, end;
  void *owner;
  unsigned hits;
  int last_tid; // the thread that was counted last: each is counted once
  bool unsure;  // some thread was never seen blocked during the scan
};

/** Counts threads in each range. Waits up to `patience` microseconds for running threads to block, which makes the
 * result exact. False when the threads cannot be listed. Sorts the ranges by start. */
bool scan_stacks(List<CodeRange> &ranges, std::uint64_t patience);

/** The addresses in a blocked thread's stack and its counter: whether one of them lies in the range. */
bool thread_is_in(std::uintptr_t program_counter, std::uintptr_t stack_pointer, std::uintptr_t start,
                  std::uintptr_t end);

} // namespace hot_fix
