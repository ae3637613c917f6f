// Ranges of code, and how many threads hold an address in each of them. Knows nothing of where addresses come from.
#pragma once

#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Code to look for; `hits` counts the threads in it. */
struct CodeRange {
  std::uintptr_t start, end;
  void *owner;
  unsigned hits;
  int last_tid;   // the thread that was counted last: each is counted once
  bool unsure;    // some thread was never seen blocked during the scan
  bool mentioned; // a stack that belongs to no blocked thread's stack pointer holds an address in it
  // A part of it that does not count: the unwinder keeps pointers to the frames of code, which are taken from it first.
  std::uintptr_t frames = 0, frames_size = 0;

  bool counts(std::uintptr_t address) const {
    return address >= start && address < end && address - frames >= frames_size;
  }
};

/** Whether a call stands before the address, as before every return address. */
bool follows_call(std::uintptr_t address);

/** The ranges, sorted, with quick answers for the words that hit none. */
class Ranges {
public:
  /** Sorts the ranges by start, and forgets what was counted. */
  explicit Ranges(List<CodeRange> &ranges);

  /** False when memory was short: nothing can be counted. */
  bool complete() const { return furthest_.size() == ranges_.size(); }

  /** False for most of the addresses that no range holds. */
  bool may_hold(std::uintptr_t address) const { return address >= lowest_ && address < highest_; }

  /** Counts the thread for the ranges that hold the address. */
  void count(std::uintptr_t address, int tid) {
    if (may_hold(address)) count_inside(address, tid);
  }

  /** Counts those of the words that may be the counters of interrupted code (arch::is_interrupted_counter). */
  void count_interrupted(const std::uintptr_t *words, std::size_t count, int tid);

  /** Counts those that may be return addresses, because a call stands before them, or counters of interrupted code. What
   * a C++ exception left behind is neither. */
  void count_returns(const std::uintptr_t *words, std::size_t count, int tid);

  /** Takes back what was counted for the thread. */
  void forget(int tid);

  /** The threads that were counted, of all ranges together. */
  unsigned total() const { return total_; }

private:
  void count_inside(std::uintptr_t address, int tid);

  List<CodeRange> &ranges_;
  List<std::uintptr_t> furthest_; // the highest end of the ranges up to this one
  std::uintptr_t lowest_ = UINTPTR_MAX, highest_ = 0;
  unsigned total_ = 0;
};

} // namespace hot_fix
