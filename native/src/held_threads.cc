// The verdict on each thread that has crashed. Handler and worker share one slot for each of them, whose state is a futex.
#include "held_threads.h"

#include "control_directory.h"
#include "crash_origin.h"
#include "crash_report.h"
#include "doorbell.h"
#include "futex.h"
#include "kernel_signals.h"
#include "parking.h"
#include "process.h"
#include "resumption.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t longest_wait = 3000000; // microseconds; only reached while the worker is kept from its work
constexpr unsigned look_interval = 1000;        // milliseconds, at whoever attends
// Microseconds for which a thread stays held while nobody attends: who started the program is about to, or the window is
// being loaded again.
constexpr std::uint64_t longest_alone = 20000000;
constexpr std::size_t most_crashes = 64, most_attendants = 8;

enum State : std::uint32_t {
  free_slot,
  taken,  // by a handler, which fills it
  wanted, // a verdict
  held,
  released,     // by a verdict: the thread goes on
  crashing,     // it was never held
  crashing_late // it was
};

struct Slot {
  std::atomic<std::uint32_t> state;
  Crash crash;
  unsigned number;     // of the hold
  std::uint64_t since; // CLOCK_MONOTONIC, microseconds
  Resumption resumption;
};
Slot slots[most_crashes];

/** An engine that attends to threads that are held. */
struct Attendant {
  int pid; // 0: nobody
  std::uint64_t start_time;
  std::uint64_t missed_since; // that it has ended: CLOCK_MONOTONIC, microseconds; 0: it was there
  Holding mode;
  unsigned limit; // seconds; 0: none
  List<const char *> modules;
};
Attendant attendants[most_attendants];
unsigned holds; // so far
bool has_left_last_word;

/** What its environment says; for children of fork as well. */
Holding wanted_by_environment() {
  const char *setting = secure_getenv("HOT_FIX_HOLD");
  if (setting == nullptr) return Holding::off;
  if (std::strcmp(setting, "all") == 0) return Holding::all;
  return std::strcmp(setting, "patched") == 0 ? Holding::patched : Holding::off;
}

bool is_alive(const Attendant &one) { return one.pid != 0 && !has_ended(one.pid, one.start_time); }

/** Whether it lives, or ended so lately that its window may be about to be there again. It is forgotten when not. */
bool may_come_back(Attendant &one) {
  if (one.pid == 0 || is_alive(one)) return one.pid != 0;
  const std::uint64_t now = monotonic_microseconds();
  if (one.missed_since == 0) one.missed_since = now;
  if (now - one.missed_since >= longest_alone) one.pid = 0;
  return one.pid != 0;
}

bool wants(const Attendant &one, const Origin &origin) {
  const auto is_its_module = [&](const char *module) { return std::strcmp(module, origin.module) == 0; };
  return one.mode == Holding::all || origin.is_patched || std::any_of(one.modules.begin(), one.modules.end(), is_its_module);
}

/** Whether somebody has the thread held.
 * @param origin of one that has crashed just now; null: it is held, and stays so while anybody attends */
bool is_to_be_held(const Slot &slot, const Origin *origin) {
  const std::uint64_t held_for = monotonic_microseconds() - slot.since;
  bool is_attended = false, is_anybody_there = false;
  for (Attendant &one : attendants) {
    // When one ended is known only while a thread is held, which is looked at all the time.
    if (!may_come_back(one) || (origin != nullptr && !is_alive(one))) continue;
    is_anybody_there = true;
    const bool is_late = one.limit != 0 && held_for >= std::uint64_t{one.limit} * 1000000;
    is_attended = is_attended || (!is_late && (origin == nullptr || wants(one, *origin)));
  }
  if (is_anybody_there) return is_attended;
  const Holding environment = wanted_by_environment();
  const bool is_wanted = environment == Holding::all || origin == nullptr || origin->is_patched;
  return environment != Holding::off && is_wanted && held_for < longest_alone;
}

bool is_holdable(const Crash &crash) { return crash.signal != SIGSYS && tracer() == 0; }

void document_name(const Slot &slot, char (&name)[40]) { std::snprintf(name, sizeof name, "held/%d.json", slot.crash.tid); }

bool publish(Slot &slot) {
  Buffer json;
  char name[40];
  document_name(slot, name);
  slot.number = ++holds;
  return describe_crash(slot.crash, slot.number, json) && write_control_file(name, json);
}

void withdraw(const Slot &slot) {
  char name[40];
  document_name(slot, name);
  remove_control_file(name);
}

void leave_last_word(const Crash &crash) {
  Buffer json;
  if (has_left_last_word) return;
  has_left_last_word = describe_crash(crash, 0, json) && write_control_file("crash.json", json);
}

/** No handler of the program runs on a thread that waits for its verdict, or is held: a signal for the process goes to
 * another thread. The runtime's own get through, and libc's (32 and 33), for which other threads wait. The mask as it was
 * is in the crash's context. */
void block_signals_of_program() {
  SignalBits mask = 0;
  for (int signal = 1; signal <= 64; signal++) {
    KernelAction action{};
    constexpr std::uintptr_t last_without = 1; // SIG_IGN
    const bool has_handler = kernel_action(signal, nullptr, &action) && action.handler > last_without;
    const bool is_let_in = signal == SIGTRAP || signal == 32 || signal == 33 || is_parking_handler(action.handler);
    if (has_handler && !is_let_in) mask |= signal_bit(signal);
  }
  kernel_mask(SIG_BLOCK, &mask, nullptr);
}

Slot *take_slot() {
  for (Slot &slot : slots) {
    std::uint32_t expected = free_slot;
    if (slot.state.compare_exchange_strong(expected, taken)) return &slot;
  }
  return nullptr;
}

/** Ends the wait of a thread: false when its handler has not waited for it. */
bool decide(Slot &slot, State before, State after) {
  std::uint32_t expected = before;
  if (!slot.state.compare_exchange_strong(expected, after)) return false;
  wake_all(slot.state);
  return true;
}

/** On the worker. */
void judge(Slot &slot) {
  Origin origin{};
  if (is_holdable(slot.crash)) find_origin(slot.crash, origin);
  if (is_holdable(slot.crash) && is_to_be_held(slot, &origin)) {
    slot.since = monotonic_microseconds();
    if (publish(slot) && decide(slot, wanted, held)) return;
    withdraw(slot);
  }
  leave_last_word(slot.crash);
  decide(slot, wanted, crashing);
}

void look_again(Slot &slot) {
  if (is_to_be_held(slot, nullptr)) return;
  withdraw(slot);
  leave_last_word(slot.crash);
  decide(slot, held, crashing_late);
}

/** The text, which an earlier request had as well. */
const char *kept(const char *text) {
  static List<const char *> texts;
  const auto known = std::find_if(texts.begin(), texts.end(), [&](const char *one) { return std::strcmp(one, text) == 0; });
  if (known != texts.end()) return *known;
  const char *copy = keep_text(text);
  texts.add(copy);
  return copy;
}

Slot *find_held(int tid, unsigned number) {
  for (Slot &slot : slots) {
    if (slot.state.load() == held && slot.crash.tid == tid && slot.number == number) return &slot;
  }
  return nullptr;
}

} // namespace

Verdict await_verdict(const Crash &crash) {
  Slot *slot = take_slot();
  if (slot == nullptr) return Verdict::crashes;
  slot->crash = crash;
  slot->since = monotonic_microseconds();
  block_signals_of_program(); // before anybody can know that it is held
  slot->state.store(wanted);
  ring();
  if (!wait_while(slot->state, wanted, slot->since + longest_wait)) decide(*slot, wanted, crashing);
  wait_while(slot->state, held, UINT64_MAX);
  switch (slot->state.load()) {
  case released:
    apply(slot->resumption, *crash.context);
    slot->state.store(free_slot);
    return Verdict::goes_on;
  case crashing_late:
    return Verdict::let_crash;
  default:
    return Verdict::crashes;
  }
}

unsigned look_after_crashes() {
  unsigned next = 0;
  for (Slot &slot : slots) {
    if (slot.state.load() == wanted) {
      judge(slot);
    } else if (slot.state.load() == held) {
      look_again(slot);
    }
    if (slot.state.load() == held) next = look_interval;
  }
  return next;
}

bool set_holding(const Request &request, Failure &failure) {
  const auto refuse = [&](const char *why) {
    return fail(failure, Code::cannot_hold, 0, nullptr, "Threads of process %d cannot be held: %s", getpid(), why);
  };
  char own_namespace[64] = "";
  pid_namespace(own_namespace);
  if (std::strcmp(own_namespace, request.engine_namespace) != 0) {
    return refuse("it is in another PID namespace, and cannot see whether the engine is alive");
  }
  Attendant *own = nullptr;
  for (Attendant &one : attendants) {
    if (one.pid == request.engine_pid || (!is_alive(one) && own == nullptr)) own = &one;
    if (one.pid == request.engine_pid) break;
  }
  if (request.holding == Holding::off) {
    if (own != nullptr && own->pid == request.engine_pid) own->pid = 0;
    return true;
  }
  if (!is_crash_report_armed()) return refuse("it was started with HOT_FIX_CRASH_REPORT=0");
  if (start_time(request.engine_pid) != request.engine_start) return refuse("the engine that asked has ended");
  if (own == nullptr) return refuse("too many engines attend to it");
  own->pid = request.engine_pid;
  own->start_time = request.engine_start;
  own->missed_since = 0;
  own->mode = request.holding;
  own->limit = request.limit;
  own->modules.clear();
  for (const char *module : request.modules) own->modules.add(kept(module));
  return true;
}

bool resume_thread(const Request &request, Failure &failure) {
  Slot *slot = find_held(request.tid, request.held);
  if (slot == nullptr) {
    return fail(failure, Code::not_held, 0, nullptr, "Thread %d of process %d is not held, or was held again since",
                request.tid, getpid());
  }
  if (request.way == Way::crash) {
    withdraw(*slot);
    leave_last_word(slot->crash);
    decide(*slot, held, crashing_late);
    return true;
  }
  if (!check_resumption(request, slot->crash, slot->resumption, failure)) return false;
  withdraw(*slot);
  decide(*slot, held, released);
  return true;
}

bool is_any_held(int &tid) {
  for (const Slot &slot : slots) {
    if (slot.state.load() != held) continue;
    tid = slot.crash.tid;
    return true;
  }
  return false;
}

void reset_held_threads() {
  for (Slot &slot : slots) slot.state.store(free_slot);
  for (Attendant &one : attendants) one.pid = 0;
  has_left_last_word = false;
}

} // namespace hot_fix
