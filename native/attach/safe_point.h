// Whether a thread that stands still may be borrowed where it stands: it must not hold a lock that pthread_create or
// malloc takes, and must be able to go on as if nothing had been. Reads; changes nothing.
#pragma once

#include "arch_x86_64.h"
#include "choose_thread.h"
#include "modules.h"

namespace hot_fix {

/** What the check needs to know of the process. */
struct Surroundings {
  const Modules &modules;
  std::uint64_t restorer;   // libc's return from signal handlers
  std::uint64_t allocator;  // malloc, where it is not libc's; else 0
  bool without_threads;     // no library for threads is loaded: glibc's thread structure has no number yet
};

struct SafePoint {
  Activity activity; // unfit: it is none
  const char *reason; // why not
};

/** @param registers of the stopped thread */
SafePoint examine(int pid, int tid, const arch::Registers &registers, const Surroundings &surroundings);

/** Whether the stop has ended a wait with EINTR that is to be made again: nothing came, and nothing was done. */
bool is_lost_wait(const arch::Registers &registers);

/** Whether a signal waits that this thread would take: EINTR would then be the truth. */
bool has_pending_signal(int pid, int tid);

} // namespace hot_fix
