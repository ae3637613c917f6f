// What is written down of a thread that has crashed (docs/PROTOCOL.md, section 5): signal, registers, stack, mapped files.
#pragma once

#include "memory.h"

#include <csignal>
#include <cstdint>
#include <ucontext.h>

namespace hot_fix {

struct Crash {
  int signal, code, tid;
  std::uintptr_t address; // 0 unless an instruction failed
  bool is_fault;          // what raised the signal does so again when the handler returns
  std::uint64_t time;     // Unix milliseconds
  ucontext_t *context;    // on the crashed thread's stack, which waits
};

/** What a handler was given. Async-signal-safe. */
Crash crash_of(int tid, const siginfo_t &info, void *context);

/** The document.
 * @param held the number of the hold, for a thread that is held; 0: it is the process's last word
 * @returns false when memory is short: what is in the buffer is no document then */
bool describe_crash(const Crash &crash, unsigned held, Buffer &buffer);

} // namespace hot_fix
