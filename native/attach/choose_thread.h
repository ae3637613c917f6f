// Which thread to borrow: those that wait come first, because waiting shows where a thread is. Reads
// /proc/PID/task/*/{stat,syscall}; stops nothing.
#pragma once

#include "memory.h"

namespace hot_fix {

/** What a thread does, best first. The kernel makes all waits again that a stop has interrupted, but those of the kind
 * `event` (epoll_wait, rt_sigtimedwait, semop): they would end with EINTR if this program were killed in that moment. */
enum class Activity { condition_wait, input, poll, sleep, other_wait, event, running, unfit };

struct Candidate {
  int tid;
  Activity activity;
  int processor; // on which it last ran
  unsigned tried;
};

/** Threads that may be borrowed, the best first; those that were tried already come after all others of their kind.
 * Keeps the count of tries of those it knows. False when the process is gone. */
bool rank_threads(int pid, List<Candidate> &candidates);

/** The kind of wait of a system call, as its number and arguments say; unfit: a thread in it must be left alone. */
Activity activity_of_call(long number, const unsigned long long (&arguments)[6]);

/** "event" and so on, for the result. */
const char *activity_name(Activity activity);

} // namespace hot_fix
