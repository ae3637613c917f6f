// Parking: each thread waits in a signal handler, having said where it was interrupted.
#include "parking.h"

#include "arch_x86_64.h"
#include "kernel_signals.h"
#include "process.h"
#include "stack_scan.h"
#include "threads.h"
#include "user_code.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <ctime>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t longest_wait = 2000000, longest_look = 300000; // microseconds
constexpr std::size_t most_threads = 4096;

struct Slot {
  // A thread and the round in which it parked: a handler that runs late, in the next one, does not wait. While the
  // rest is written: `being_written`.
  std::atomic<std::uint64_t> who;
  std::atomic<std::uintptr_t> program_counter, stack_pointer; // as it was interrupted
  std::atomic<const ucontext_t *> context;
  std::atomic<std::uintptr_t> handler_stack; // the frame with its registers is above; on an alternate stack, maybe
};

constexpr std::uint64_t being_written = ~std::uint64_t{0};

std::uint64_t who_in(std::uint32_t round, int tid) {
  return std::uint64_t{round} << 32 | static_cast<std::uint32_t>(tid);
}

bool is_of_round(std::uint64_t who, std::uint32_t round) { return who != being_written && who >> 32 == round; }

std::atomic<std::uint32_t> round_number{1}; // a futex word: threads wait while it is the number they came with
std::atomic<bool> parking;
std::atomic<unsigned> longest_parked{3}; // seconds
std::atomic<std::uint32_t> parked;
Slot *slots;

/** A slot that no other thread writes to. A handler that was held up since an earlier round has an index of that one,
 * which a thread of this round may have as well. Null when all are taken. */
Slot *claim_slot(std::uint32_t round) {
  for (std::uint32_t index = parked.fetch_add(1); index < most_threads; index = parked.fetch_add(1)) {
    std::uint64_t before = slots[index].who.load();
    const auto rounds_since = static_cast<std::int32_t>(round - static_cast<std::uint32_t>(before >> 32));
    if (before == being_written || rounds_since <= 0) continue;
    if (slots[index].who.compare_exchange_strong(before, being_written)) return &slots[index];
  }
  return nullptr;
}

void handle_parking(int, siginfo_t *, void *context) {
  const int saved = errno;
  const std::uint32_t round = round_number.load();
  if (parking.load()) {
    if (Slot *slot = claim_slot(round); slot != nullptr) {
      const auto *interrupted = static_cast<const ucontext_t *>(context);
      slot->program_counter.store(arch::program_counter(interrupted));
      slot->stack_pointer.store(arch::stack_pointer(interrupted));
      slot->context.store(interrupted);
      slot->handler_stack.store(reinterpret_cast<std::uintptr_t>(&saved));
      slot->who.store(who_in(round, static_cast<int>(syscall(SYS_gettid))));
    }
    const unsigned waits = longest_parked.load() * 10;
    for (unsigned i = 0; i < waits && parking.load() && round_number.load() == round; i++) {
      const timespec most{0, 100 * 1000 * 1000};
      syscall(SYS_futex, &round_number, FUTEX_WAIT_PRIVATE, round, &most, nullptr, 0);
    }
  }
  errno = saved;
}

bool has_handler(int signal, std::uintptr_t handler) {
  KernelAction action{};
  return kernel_action(signal, nullptr, &action) && action.handler == handler;
}

std::atomic<int> realtime; // the signal that was taken where SIGURG would not do; 0: none

/** One that the debugger passes on without a stop: gdb does so with SIGURG, which is ignored by default, and stops at
 * real-time signals; lldb the other way round. */
int parking_signal() {
  const auto ours = reinterpret_cast<std::uintptr_t>(&handle_parking);
  const auto none = reinterpret_cast<std::uintptr_t>(SIG_DFL);
  if (!is_lldb(tracer())) {
    if (has_handler(SIGURG, ours)) return SIGURG;
    if (has_handler(SIGURG, none) && install_handler(SIGURG, handle_parking)) return SIGURG;
  }
  if (const int taken = realtime.load(); taken != 0 && has_handler(taken, ours)) return taken;
  const int free = free_realtime_signal();
  // The handler stays: a signal that arrives late must not meet the default action.
  realtime.store(free != 0 && install_handler(free, handle_parking) ? free : 0);
  return realtime.load();
}

/** Where the thread waits; null when it does not. */
const Slot *slot_of(int tid) {
  const std::uint32_t count = parked.load();
  for (std::uint32_t i = 0; i < count && i < most_threads; i++) {
    if (slots[i].who.load() == who_in(round_number.load(), tid)) return &slots[i];
  }
  return nullptr;
}

bool have_slots() {
  if (slots == nullptr) slots = static_cast<Slot *>(map_pages(most_threads * sizeof(Slot)));
  return slots != nullptr;
}

void begin_round() {
  parked.store(0);
  parking.store(true);
}

void count_parked(const MemoryMap &map, const Slot &slot, int tid, Ranges &ranges) {
  ranges.count(slot.program_counter.load(), tid);
  count_stack(map, slot.handler_stack.load(), tid, Words::any, ranges);
  count_stack(map, slot.stack_pointer.load(), tid, Words::any, ranges);
}

bool parked_outside(List<CodeRange> &tails) {
  Ranges ranges(tails);
  MemoryMap map;
  if (!ranges.complete() || !map.read()) return false;
  const std::uint32_t count = parked.load();
  for (std::uint32_t i = 0; i < count && i < most_threads; i++) {
    const std::uint64_t who = slots[i].who.load();
    if (is_of_round(who, round_number.load())) count_parked(map, slots[i], static_cast<int>(who), ranges);
  }
  return ranges.total() == 0;
}

} // namespace

bool is_parking_handler(std::uintptr_t handler) { return handler == reinterpret_cast<std::uintptr_t>(&handle_parking); }

const ucontext_t *parked_context(int tid) {
  const Slot *slot = slot_of(tid);
  return slot != nullptr ? slot->context.load() : nullptr;
}

int signal_to_let_in() {
  if (const int taken = realtime.load(); taken != 0) return taken;
  // By default it is ignored: where nothing has been parked so far, it does nothing to the thread.
  KernelAction action{};
  const bool is_known = kernel_action(SIGURG, nullptr, &action);
  const bool is_free = action.handler == reinterpret_cast<std::uintptr_t>(SIG_DFL) || is_parking_handler(action.handler);
  return is_known && is_free ? SIGURG : 0;
}

bool park_threads(List<CodeRange> &tails, Failure &failure, unsigned seconds) {
  longest_parked.store(seconds);
  const int signal = parking_signal();
  if (signal == 0 || !have_slots()) {
    return fail(failure, Code::tracer_attached, 0, nullptr, "there is no free signal to park the threads with");
  }
  const std::uint64_t deadline = monotonic_microseconds() + longest_wait;
  int missing = 0;
  for (;;) {
    begin_round();
    // New threads may appear until all are parked; then nobody is left who could make one.
    List<int> signalled;
    for (bool all = false; !all && monotonic_microseconds() < deadline;) {
      List<int> threads;
      all = list_threads(threads);
      for (const int tid : threads) {
        if (slot_of(tid) != nullptr || (blocks_signal(tid, signal) && !may_run_user_code(tid))) continue;
        all = false;
        missing = tid;
        const bool is_signalled = std::find(signalled.begin(), signalled.end(), tid) != signalled.end();
        // One that blocks it gets it when it does not; unless it waits for signals, and would take it for its own.
        if (is_signalled || thread_state(tid).system_call == SYS_rt_sigtimedwait) continue;
        if (signalled.add(tid)) syscall(SYS_tgkill, getpid(), tid, signal);
      }
      if (all) {
        if (parked_outside(tails)) return true;
        break;
      }
      pause_microseconds(200);
    }
    unpark_threads();
    if (monotonic_microseconds() >= deadline) break;
    pause_microseconds(1000);
  }
  char name[16];
  thread_name(missing, name);
  if (blocks_signal(missing, signal)) {
    return fail(failure, Code::signals_blocked, 0, nullptr, "thread %d (%s) blocks all signals", missing, name);
  }
  return fail(failure, Code::thread_unresponsive, 0, nullptr, "thread %d (%s) could not be parked", missing, name);
}

void unpark_threads() {
  parking.store(false);
  longest_parked.store(3);
  round_number.fetch_add(1);
  syscall(SYS_futex, &round_number, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

std::uintptr_t count_running(const MemoryMap &map, int tid, Ranges &ranges) {
  const int signal = parking_signal();
  if (signal == 0 || !have_slots() || blocks_signal(tid, signal)) return 0;
  begin_round();
  const std::uint64_t deadline = monotonic_microseconds() + longest_look;
  const Slot *slot = nullptr;
  // Last, so that it has hardly the time to begin a system call that the signal would end.
  if (thread_state(tid).kind == ThreadState::running && syscall(SYS_tgkill, getpid(), tid, signal) == 0) {
    while ((slot = slot_of(tid)) == nullptr && monotonic_microseconds() < deadline) pause_microseconds(100);
  }
  std::uintptr_t stack_pointer = 0;
  if (slot != nullptr) {
    count_parked(map, *slot, tid, ranges);
    stack_pointer = slot->stack_pointer.load();
  }
  unpark_threads();
  return stack_pointer;
}

} // namespace hot_fix
