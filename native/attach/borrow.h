// Borrows one thread: stops it, has it make the mapping and call pthread_create, and puts it back as it was. At no
// moment does it depend on this program to go on: whatever it was given to run ends by itself in rt_sigreturn.
#pragma once

#include "block.h"
#include "failure.h"
#include "safe_point.h"

#include <cstdint>

namespace hot_fix {

/** What the borrowed thread is to do. */
struct Errand {
  int pid;
  Surroundings surroundings;
  std::uint64_t call_gadget; // `syscall; ret` in libc
  std::uint64_t deadline;    // CLOCK_MONOTONIC, microseconds
  Block block;               // all but the addresses that depend on the mapping
};

enum class Borrowing { done, unsafe, failed };

struct Loan {
  int tid = 0;
  const char *activity = "";
  const char *reason = "";     // why the thread was not fit
  std::uint64_t pause = 0;     // microseconds that the thread stood still or worked for us
  std::uint64_t mapping = 0;   // where the block is
};

/** `unsafe`: the thread was let go untouched, and another, or the same a little later, may do. */
Borrowing borrow(Errand &errand, int tid, int processor, Loan &loan, Failure &failure);

} // namespace hot_fix
