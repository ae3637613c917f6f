// Quiescence of function entries.
//
// A blocked thread shows its program counter, and its stack holds the signal frames of what it has interrupted. A
// running one shows neither, but the tail of an entry is a few instructions without a loop: with a millisecond of its
// own processor time it has left, unless that time went into a signal handler that interrupted it there. Then the
// address lies somewhere in memory: on its stack, on an alternate one, on that of a coroutine. So all that the
// process has written is searched, before that millisecond and after it. A thread that is inside both times without
// a trace would have to return from a handler at both of these moments.
//
// A thread that has just met the int3 of a closed entry has an address inside in its signal frame too, until our
// handler takes it back to the entry. Threads that get no processor can stay at that point for long, so such a frame is
// told from that of an interruption.
#include "quiescence.h"

#include "function_table.h"
#include "memory_search.h"
#include "process.h"
#include "stack_scan.h"
#include "threads.h"

#include <algorithm>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::int64_t enough_processor_time = 1000; // microseconds
constexpr std::uint64_t longest_wait = 2000000;
constexpr std::uint64_t longest_starvation = 8000000; // with more running threads than processors
constexpr std::size_t most_memory = std::size_t{1} << 30; // to search

struct Pending {
  int tid;
  std::int64_t since; // its processor time when it was first seen running; -1: it was not yet
  bool is_ripe;       // it has used enough of it since
  bool is_starved;    // it runs, and has not
};

/** The threads that were not yet seen outside. */
class Watch {
public:
  explicit Watch(List<CodeRange> &tails) : ranges_(tails) {
    for (const CodeRange &tail : tails) {
      const Function *function = find_trampoline(tail.start - 1);
      if (function == nullptr || returns_inside(*function)) words_ = Words::any;
    }
  }

  /** False when /proc or memory fail. */
  bool begin() {
    List<int> tids;
    if (!ranges_.complete() || !list_threads(tids)) return false;
    return std::all_of(tids.begin(), tids.end(), [&](int tid) { return pending_.add({tid, -1, false, false}); });
  }

  /** One look at each of them; whether none is left. */
  bool look() {
    if (pending_.empty()) return true;
    if (!map_.read()) return false;
    for (std::size_t i = 0; i < pending_.size();) {
      if (is_done(pending_[i])) {
        pending_.remove(i);
      } else {
        i++;
      }
    }
    if (pending_.empty()) return true;
    if (!is_searched_) {
      is_searched_ = is_memory_clean();
    } else if (std::all_of(pending_.begin(), pending_.end(), [](const Pending &one) { return one.is_ripe; })) {
      if (is_memory_clean()) pending_.clear();
      for (Pending &one : pending_) one = {one.tid, -1, false, false};
    }
    return pending_.empty();
  }

  /** One that is left. */
  int first() const { return pending_[0].tid; }

  /** One that runs but gets hardly any time on a processor: it is not in the way, it is late. 0: there is none. */
  int starved() const {
    const Pending *found =
        std::find_if(pending_.begin(), pending_.end(), [](const Pending &one) { return one.is_starved; });
    return found != pending_.end() ? found->tid : 0;
  }

private:
  static bool returns_inside(const Function &function) {
    return arch::may_hold_short_call(function.original + function.jump_offset, arch::jump_length - 1);
  }

  bool is_done(Pending &thread) {
    const ThreadState state = thread_state(thread.tid);
    thread.is_starved = false;
    if (state.kind == ThreadState::gone) return true;
    if (state.kind == ThreadState::blocked && state.stack_pointer == 0) {
      thread.is_ripe = true; // a system that hides it: it sleeps in a system call, and no tail makes one
      return false;
    }
    if (state.kind == ThreadState::blocked) {
      const unsigned before = ranges_.total();
      if (count_blocked(map_, thread.tid, state, words_, ranges_)) {
        const bool is_outside = ranges_.total() == before;
        ranges_.forget(thread.tid);
        thread.is_ripe = false; // it is not running: another look is due
        return is_outside;
      }
    }
    if (state.kind == ThreadState::stopped || !is_searched_) return false;
    const std::int64_t used = processor_microseconds(thread.tid);
    if (used < 0) return true;
    if (thread.since < 0) thread.since = used;
    thread.is_ripe = used - thread.since >= enough_processor_time;
    thread.is_starved = !thread.is_ripe;
    return false;
  }

  /** Whether the words are the frame of a thread that has come to a closed entry: our handler takes it back. */
  bool has_met_trap(const std::uintptr_t *words, std::size_t count) const {
    if (!arch::is_breakpoint_frame(words, count)) return false;
    const Function *function = find_trampoline(words[0] - 1);
    return function != nullptr && function->original[function->jump_offset] != arch::breakpoint;
  }

  bool is_memory_clean() {
    constexpr int nobody = -1;
    const unsigned before = ranges_.total();
    const auto visit = [](void *context, std::uintptr_t, const std::uintptr_t *words, std::size_t count) {
      auto *watch = static_cast<Watch *>(context);
      Ranges &ranges = watch->ranges_;
      for (std::size_t i = 0; i < count; i++) {
        if (!ranges.may_hold(words[i]) || watch->has_met_trap(words + i, count - i)) continue;
        if (watch->words_ == Words::any || arch::is_interrupted_counter(words + i, count - i)) ranges.count(words[i], nobody);
      }
    };
    const bool is_complete = search_writable_memory(map_, most_memory, visit, this);
    const bool is_clean = is_complete && ranges_.total() == before;
    ranges_.forget(nobody);
    return is_clean;
  }

  Ranges ranges_;
  // An address inside can only be that of code that a signal interrupted, unless a call there returns inside.
  Words words_ = Words::interrupted;
  MemoryMap map_;
  List<Pending> pending_;
  bool is_searched_ = false;
};

bool is_unresponsive(int tid, const List<CodeRange> &tails, Failure &failure) {
  char name[16];
  thread_name(tid, name);
  const ThreadState state = thread_state(tid);
  if (state.kind == ThreadState::stopped) {
    return fail(failure, Code::tracer_attached, 0, nullptr, "thread %d (%s) is stopped by a debugger or a signal", tid,
                name);
  }
  const CodeRange *in = std::find_if(tails.begin(), tails.end(), [&](const CodeRange &tail) {
    return state.program_counter >= tail.start && state.program_counter < tail.end;
  });
  const char *symbol = in != tails.end() ? static_cast<const char *>(in->owner) : nullptr;
  return fail(failure, Code::thread_unresponsive, 0, symbol,
              "thread %d (%s) was not seen outside of the bytes to be replaced%s%s", tid, name,
              symbol != nullptr ? " of " : "", symbol != nullptr ? symbol : "");
}

} // namespace

bool all_are_outside(List<CodeRange> &tails) {
  return scan_stacks(tails, 0) && std::all_of(tails.begin(), tails.end(), [](const CodeRange &tail) {
    return tail.hits == 0 && !tail.unsure && !tail.mentioned;
  });
}

bool all_get_outside(List<CodeRange> &tails, std::uint64_t patience) {
  Watch watch(tails);
  if (!watch.begin()) return false;
  const std::uint64_t deadline = monotonic_microseconds() + patience;
  while (!watch.look()) {
    if (monotonic_microseconds() >= deadline) return false;
    pause_microseconds(1000);
  }
  return true;
}

bool wait_until_outside(List<CodeRange> &tails, const Waiting &waiting, Failure &failure) {
  if (tails.empty()) return true;
  Watch watch(tails);
  if (!watch.begin()) return fail(failure, Code::out_of_memory, 0, nullptr, "the threads cannot be listed");
  const std::uint64_t start = monotonic_microseconds();
  bool delayed = false;
  while (!watch.look()) {
    const std::uint64_t waited = monotonic_microseconds() - start;
    if (waiting.stays_safe != nullptr && !waiting.stays_safe()) {
      return fail(failure, Code::signals_blocked, 0, nullptr, "a thread blocks SIGTRAP");
    }
    if (waited > waiting.hold && waiting.on_delay != nullptr && !delayed) {
      delayed = true;
      waiting.on_delay();
    }
    const int starved = watch.starved();
    const std::uint64_t limit = waiting.on_delay == nullptr ? waiting.hold : starved != 0 ? longest_starvation : longest_wait;
    if (waited <= limit) {
      pause_microseconds(waited < 5000 ? 100 : 1000);
      continue;
    }
    if (starved == 0) return is_unresponsive(watch.first(), tails, failure);
    char name[16];
    thread_name(starved, name);
    return fail(failure, Code::thread_unresponsive, 0, nullptr, "thread %d (%s) did not get the processor", starved,
                name);
  }
  return true;
}

} // namespace hot_fix
