// Quiescence of function entries.
//
// A blocked thread shows its program counter. A running one does not, but the tail of an entry is a few
// instructions without a loop: once the thread has had a millisecond of processor time since the entry was closed,
// it has left. A signal may have interrupted it inside the tail: the address is then in the signal frame on its
// stack, which is read too.
#include "quiescence.h"

#include "process.h"
#include "stack_scan.h"
#include "threads.h"

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::int64_t enough_processor_time = 1000; // microseconds
constexpr std::uint64_t longest_wait = 2000000;
constexpr std::uint64_t longest_hold = 50000;

struct Waiting {
  int tid;
  std::int64_t since; // its processor time when it was first seen running; -1: it was not yet
};

bool is_outside(const List<Tail> &tails, const ThreadState &state) {
  for (const Tail &tail : tails) {
    if (thread_is_in(state.program_counter, state.stack_pointer, tail.start, tail.end)) return false;
  }
  return true;
}

/** Whether the thread was outside of all tails at some moment since the entries were closed. */
bool has_left(const List<Tail> &tails, Waiting &thread) {
  const ThreadState state = thread_state(thread.tid);
  if (state.kind == ThreadState::gone) return true;
  if (state.kind == ThreadState::blocked) {
    if (!is_outside(tails, state)) return false;
    // It stood still while its stack was read, or it ran: then its stack may have been read while it changed.
    const ThreadState after = thread_state(thread.tid);
    if (after.program_counter == state.program_counter && after.stack_pointer == state.stack_pointer) return true;
  }
  if (state.kind == ThreadState::stopped) return false;
  const std::int64_t used = processor_microseconds(thread.tid);
  if (used < 0) return true;
  if (thread.since < 0) thread.since = used;
  return used - thread.since >= enough_processor_time;
}

} // namespace

const Tail *tail_at(const List<Tail> &tails, std::uintptr_t address) {
  for (const Tail &tail : tails) {
    if (address >= tail.start && address < tail.end) return &tail;
  }
  return nullptr;
}

bool wait_until_outside(const List<Tail> &tails, void (*on_delay)(), Failure &failure) {
  if (tails.empty()) return true;
  List<int> tids;
  List<Waiting> waiting;
  if (!list_threads(tids)) return fail(failure, Code::internal, 0, nullptr, "/proc/self/task cannot be read");
  for (const int tid : tids) {
    if (!waiting.add({tid, -1})) return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for the thread list");
  }
  const std::uint64_t start = monotonic_microseconds();
  bool delayed = false;
  for (;;) {
    for (std::size_t i = 0; i < waiting.size();) {
      if (has_left(tails, waiting[i])) {
        waiting.remove(i);
      } else {
        i++;
      }
    }
    if (waiting.empty()) return true;
    const std::uint64_t waited = monotonic_microseconds() - start;
    if (waited > longest_hold && !delayed) {
      delayed = true;
      on_delay();
    }
    if (waited > longest_wait) break;
    pause_microseconds(waited < 5000 ? 100 : 1000);
  }
  const int tid = waiting[0].tid;
  char name[16];
  thread_name(tid, name);
  const ThreadState state = thread_state(tid);
  const Tail *tail = tail_at(tails, state.program_counter);
  if (state.kind == ThreadState::stopped) {
    return fail(failure, Code::tracer_attached, 0, nullptr, "thread %d (%s) is stopped by a debugger or a signal", tid,
                name);
  }
  return fail(failure, Code::thread_unresponsive, 0, tail != nullptr ? tail->symbol : nullptr,
              "thread %d (%s) was not seen outside of the bytes to be replaced%s%s for two seconds", tid, name,
              tail != nullptr ? " of " : "", tail != nullptr ? tail->symbol : "");
}

} // namespace hot_fix
