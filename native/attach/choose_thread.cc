// Ranking by what the kernel says each thread waits for.
#include "choose_thread.h"

#include "proc_files.h"

#include <cstdio>
#include <cstdlib>
#include <linux/futex.h>
#include <sys/syscall.h>

namespace hot_fix {
namespace {

/** A thread that waits for a lock holds others perhaps, those of malloc and of the loader among them. Waits for
 * conditions, semaphores and ends of threads use another operation, or a value that no lock has. */
Activity activity_of_futex(const unsigned long long (&arguments)[6]) {
  switch (arguments[1] & FUTEX_CMD_MASK) {
  case FUTEX_WAIT_BITSET:
    return Activity::condition_wait;
  case FUTEX_WAIT: {
    // glibc's locks wait for the value 2, its robust ones for the owner with FUTEX_WAITERS.
    const auto value = static_cast<unsigned>(arguments[2]);
    return value == 2 || (value & FUTEX_WAITERS) != 0 ? Activity::unfit : Activity::other_wait;
  }
  default:
    return Activity::unfit;
  }
}

Activity activity_of_thread(int pid, int tid, char state) {
  if (state != 'R' && state != 'S') return Activity::unfit; // D: in vfork, say; t and T: stopped; Z and X: ended
  Buffer text;
  // proc(5): "running", or "-1 SP PC", or "NUMBER six-arguments SP PC".
  if (!read_process_file(pid, tid, "syscall", text)) return Activity::unfit;
  if (text.begin()[0] == 'r') return Activity::running;
  char *at = text.begin();
  const long number = std::strtol(at, &at, 10);
  if (number < 0) return Activity::running;
  unsigned long long arguments[6];
  for (unsigned long long &argument : arguments) argument = std::strtoull(at, &at, 16);
  // Restarted after a stop: which call it is stands in the instruction, and is looked at when the thread is stopped.
  if (number == SYS_restart_syscall) return Activity::other_wait;
  return activity_of_call(number, arguments);
}

} // namespace

Activity activity_of_call(long number, const unsigned long long (&arguments)[6]) {
  switch (number) {
  case SYS_futex:
    return activity_of_futex(arguments);
  case SYS_read:
  case SYS_readv:
  case SYS_pread64:
  case SYS_recvfrom:
  case SYS_recvmsg:
  case SYS_recvmmsg:
  case SYS_accept:
  case SYS_accept4:
    return Activity::input;
  case SYS_poll:
  case SYS_ppoll:
  case SYS_select:
  case SYS_pselect6:
    return Activity::poll;
  case SYS_epoll_wait:
  case SYS_epoll_pwait:
  case SYS_epoll_pwait2:
  case SYS_rt_sigtimedwait:
  case SYS_semop:
  case SYS_semtimedop:
    return Activity::event;
  case SYS_nanosleep:
  case SYS_clock_nanosleep:
    return Activity::sleep;
  case SYS_pause:
  case SYS_rt_sigsuspend:
  case SYS_wait4:
  case SYS_waitid:
  case SYS_write:
  case SYS_writev:
  case SYS_sendto:
  case SYS_sendmsg:
  case SYS_flock:
  case SYS_fcntl:
  case SYS_msgrcv:
    return Activity::other_wait;
  default:
    return Activity::unfit;
  }
}

bool rank_threads(int pid, List<Candidate> &candidates) {
  char directory[32];
  std::snprintf(directory, sizeof directory, "/proc/%d/task", pid);
  List<int> tids;
  if (!list_numbers(directory, tids) || tids.empty()) return false;
  List<Candidate> ranked;
  for (const int tid : tids) {
    StatFile stat{};
    if (!read_stat(pid, tid, stat)) continue;
    Candidate candidate{tid, activity_of_thread(pid, tid, stat.state), stat.processor, 0};
    for (const Candidate &known : candidates) {
      if (known.tid == tid) candidate.tried = known.tried;
    }
    if (!ranked.add(candidate)) return false;
  }
  candidates.clear();
  // Insertion sort: there are few threads, and most are in order.
  for (const Candidate &candidate : ranked) {
    if (!candidates.add(candidate)) return false;
    for (std::size_t at = candidates.size() - 1; at > 0; at--) {
      Candidate &before = candidates[at - 1], &behind = candidates[at];
      const bool in_order =
          before.tried != behind.tried ? before.tried < behind.tried : before.activity <= behind.activity;
      if (in_order) break;
      const Candidate moved = before;
      before = behind;
      behind = moved;
    }
  }
  return true;
}

const char *activity_name(Activity activity) {
  switch (activity) {
  case Activity::condition_wait:
    return "condition";
  case Activity::input:
    return "input";
  case Activity::poll:
    return "poll";
  case Activity::sleep:
    return "sleep";
  case Activity::other_wait:
    return "wait";
  case Activity::event:
    return "event";
  case Activity::running:
    return "running";
  case Activity::unfit:
    break;
  }
  return "unfit";
}

} // namespace hot_fix
