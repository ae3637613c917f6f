// Writing entries under running threads.
//
// An entry is 5 bytes that any thread may be executing. They are replaced as the Linux kernel replaces its own text
// (and as Intel asks for cross-modifying code, SDM volume 3, 9.1.3): the first byte becomes an int3, so that no
// thread gets past it; then the tail is written; then the first byte; with all processors serialised in between.
//
//     55 48 89 e5 53    push %rbp; mov %rsp,%rbp; push %rbx      as it was
//     cc 48 89 e5 53    closed: a thread that comes here traps, and waits in the handler
//     cc xx xx xx xx    no thread is inside any more: the tail is the new one
//     e9 xx xx xx xx    jmp new                                  open again
//
// Between closing and the tail stand the two questions that need the entries closed: has every thread left the
// tails, and is no guarded caller active. The answer no undoes the first bytes, and nothing has happened.
//
// A debugger's own breakpoint over an entry that stays redirected is left there: its int3 stands for the e9, which is
// the same before and after, so only the tail is written. Where the first byte changes, or where a breakpoint lies
// over the tail, the debugger would put back what it found: the transaction is refused.
//
// Two variants. A thread that blocks SIGTRAP would be killed by the int3: then entries are closed by `jmp .` (two
// bytes, stored at once), where the first instruction is that long. Under a debugger, which takes every int3 for
// its own affair, the same, or else all threads are parked by signal.
#include "transaction.h"

#include "breakpoint_trap.h"
#include "page_protection.h"
#include "parking.h"
#include "processor_sync.h"
#include "process.h"
#include "quiescence.h"
#include "stack_scan.h"
#include "threads.h"

#include <csignal>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t longest_wait = 2000000; // microseconds, for threads that block SIGTRAP
constexpr std::uint64_t guard_wait = 100000;
constexpr std::uint64_t guard_scan_patience = 5000;

struct Write {
  Function *function;
  Version *to;
  std::uint8_t before[arch::jump_length], after[arch::jump_length];
  bool replaces_original; // only there can a thread stand inside the bytes: a jump is one instruction
  bool keeps_first;       // a debugger's breakpoint over the first byte

  std::uintptr_t address() const { return function->trampoline(); }
  /** Whether `jmp .` can close the entry: no thread can stand on its second byte. */
  bool can_hold() const {
    return arch::can_hold_threads(address()) && (!replaces_original || (function->boundaries & 2) == 0);
  }
};

bool read_entry(const Function &function, std::uint8_t *bytes, std::size_t offset, std::size_t length) {
  return read_memory(function.entry + offset, bytes, length) == length;
}

/** Whether the entry holds what it should; a debugger's breakpoints may lie over bytes that are not written. */
bool is_as_expected(Write &write, const std::uint8_t *live, const std::uint8_t *expected) {
  const Function &function = *write.function;
  for (std::uint32_t i = 0; i < function.original_length; i++) {
    if (live[i] == expected[i]) continue;
    if (live[i] != arch::breakpoint || tracer() == 0) return false;
    const bool is_written = i >= function.jump_offset && i < function.jump_offset + arch::jump_length;
    if (!is_written) continue;
    if (i != function.jump_offset || write.before[0] != write.after[0]) return false;
    write.keeps_first = true;
  }
  return true;
}

/** What is to be written, and that the entries hold what they should. Leaves out what is current already. */
bool plan(const List<Change> &changes, List<Write> &writes, PageProtection &pages, Failure &failure) {
  for (const Change &change : changes) {
    Function &function = *change.function;
    Write write{};
    write.function = &function;
    write.to = change.to;
    write.replaces_original = function.current->patch == nullptr;
    function.trampoline_bytes(*function.current, write.before);
    function.trampoline_bytes(*change.to, write.after);

    std::uint8_t live[sizeof function.original];
    std::uint8_t expected[sizeof function.original];
    std::memcpy(expected, function.original, sizeof expected);
    std::memcpy(expected + function.jump_offset, write.before, sizeof write.before);
    if (!read_entry(function, live, 0, function.original_length) ||
        !is_as_expected(write, live, expected)) {
      return fail(failure, Code::original_differs, 0, function.symbol, "the bytes at %s (%#lx) are not those expected",
                  function.symbol, static_cast<unsigned long>(function.entry));
    }
    if (std::memcmp(write.before, write.after, sizeof write.before) == 0) continue;
    if (!writes.add(write) || !pages.add(write.address(), arch::jump_length)) {
      return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu functions", changes.size());
    }
  }
  return true;
}

bool all_can_hold(const List<Write> &writes, const char *&first_that_cannot) {
  for (const Write &write : writes) {
    if (write.can_hold()) continue;
    first_that_cannot = write.function->symbol;
    return false;
  }
  return true;
}

/** A thread that blocks SIGTRAP, or 0. */
int thread_without_trap() {
  List<int> threads;
  if (!list_threads(threads)) return 0;
  for (const int tid : threads) {
    if (blocks_signal(tid, SIGTRAP)) return tid;
  }
  return 0;
}

bool choose_method(const List<Write> &writes, const PageProtection &pages, Method &method, Failure &failure) {
  for (const Write &write : writes) {
    if (!write.keeps_first) continue;
    method = Method::parked; // the other two write the first byte
    return true;
  }
  const char *too_short = "";
  const bool can_hold = all_can_hold(writes, too_short) && !pages.through_memory_file();
  if (tracer() != 0) {
    method = can_hold ? Method::spin : Method::parked;
    return true;
  }
  method = Method::int3;
  int tid = thread_without_trap();
  if (tid != 0 && can_hold) {
    method = Method::spin;
    return true;
  }
  const std::uint64_t deadline = monotonic_microseconds() + longest_wait;
  while (tid != 0 && monotonic_microseconds() < deadline) {
    pause_microseconds(1000);
    tid = thread_without_trap();
  }
  if (tid == 0) return true;
  char name[16];
  thread_name(tid, name);
  return fail(failure, Code::signals_blocked, 0, too_short,
              "thread %d (%s) blocks SIGTRAP, and the first instruction of %s is too short to do without", tid, name,
              too_short);
}

std::size_t closing_length(Method method) { return method == Method::spin ? sizeof arch::jump_to_self : 1; }

bool write_first_bytes(const List<Write> &writes, PageProtection &pages, Method method, const std::uint8_t *fixed,
                       bool after) {
  bool complete = true;
  for (const Write &write : writes) {
    const std::uint8_t *bytes = fixed != nullptr ? fixed : after ? write.after : write.before;
    complete = pages.write(write.address(), bytes, closing_length(method)) && complete;
  }
  synchronize_processors();
  return complete;
}

void close_entries(const List<Write> &writes, PageProtection &pages, Method method) {
  std::uint8_t closing[sizeof arch::jump_to_self] = {arch::breakpoint, 0};
  if (method == Method::spin) std::memcpy(closing, &arch::jump_to_self, sizeof closing);
  write_first_bytes(writes, pages, method, closing, false);
}

bool collect_tails(const List<Write> &writes, List<Tail> &tails) {
  for (const Write &write : writes) {
    // Instructions that begin inside the five bytes, behind the first.
    const std::uint32_t inside = write.function->boundaries & ((1U << arch::jump_length) - 1) & ~1U;
    if (!write.replaces_original || inside == 0) continue;
    const std::uintptr_t start = write.address() + 1;
    if (!tails.add({start, start + arch::jump_length - 1, write.function->symbol})) return false;
  }
  return true;
}

/** Whether no guarded code is running or will be returned into. */
bool guards_clear(const List<Guard> &guards, std::uint64_t patience, const Guard *&active) {
  if (guards.empty()) return true;
  List<CodeRange> ranges;
  active = &guards[0];
  for (const Guard &guard : guards) {
    if (!ranges.add({guard.start, guard.start + guard.length, const_cast<Guard *>(&guard), 0, 0, false})) return false;
  }
  if (!scan_stacks(ranges, patience)) return false;
  for (const CodeRange &range : ranges) {
    if (range.hits == 0) continue;
    active = static_cast<const Guard *>(range.owner);
    return false;
  }
  return true;
}

bool caller_active(const Guard &guard, Failure &failure) {
  return fail(failure, Code::caller_active, 0, guard.name,
              "%s is running and relies on the registers that the old code leaves alone", guard.name);
}

bool threads_let_go;

void let_threads_go() {
  threads_let_go = true;
  release_threads();
}

/** One attempt: closes, asks, writes. `retry` says that only a guard stood in the way. */
bool write_entries(const List<Write> &writes, PageProtection &pages, const List<Guard> &guards,
                   const List<Tail> &tails, Method method, bool &retry, Failure &failure) {
  retry = false;
  if (method == Method::parked) {
    if (!park_threads(tails, failure)) return false;
    const Guard *active = nullptr;
    const bool clear = guards_clear(guards, 0, active);
    for (const Write &write : writes) {
      const std::size_t first = write.keeps_first ? 1 : 0;
      if (clear) pages.write(write.address() + first, write.after + first, arch::jump_length - first);
    }
    synchronize_processors();
    unpark_threads();
    retry = !clear;
    return clear || caller_active(*active, failure);
  }

  hold_threads();
  close_entries(writes, pages, method);
  const Guard *active = nullptr;
  const bool clear = guards_clear(guards, guard_scan_patience, active);
  // When some thread keeps us waiting, the others go on meanwhile, into the new versions.
  if (!clear || !wait_until_outside(tails, let_threads_go, failure)) {
    write_first_bytes(writes, pages, method, nullptr, false);
    release_threads();
    retry = !clear;
    return clear ? false : caller_active(*active, failure);
  }
  const std::size_t closed = closing_length(method);
  for (const Write &write : writes) {
    pages.write(write.address() + closed, write.after + closed, arch::jump_length - closed);
  }
  synchronize_processors();
  write_first_bytes(writes, pages, method, nullptr, true);
  release_threads();
  return true;
}

void record(const Write &write, const PageProtection &pages, Method method) {
  Function &function = *write.function;
  function.method = method;
  function.page_count = 0;
  const std::uintptr_t first = write.address() & ~(arch::page_size - 1);
  for (std::uintptr_t page = first; page < write.address() + arch::jump_length; page += arch::page_size) {
    const PageRecord *done = pages.record_of(page);
    if (done != nullptr) function.pages[function.page_count++] = *done;
  }
}

void make_current(const Change &change) {
  Function &function = *change.function;
  function.listed = true;
  if (find_version(function, change.to->number) == nullptr) {
    Version *last = &function.versions;
    while (last->next != nullptr) last = last->next;
    last->next = change.to;
  }
  function.current = change.to;
}

} // namespace

bool commit(const List<Change> &changes, const List<Guard> &guards, bool &entered, Failure &failure) {
  threads_let_go = false;
  PageProtection pages;
  List<Write> writes;
  if (!plan(changes, writes, pages, failure)) return false;
  if (!writes.empty()) {
    if (!claim_breakpoint_trap(failure) || !prepare_synchronization(failure) || !pages.open(failure)) return false;
    Method method;
    if (!choose_method(writes, pages, method, failure)) return false;
    List<Tail> tails;
    if (!collect_tails(writes, tails)) {
      return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu functions", changes.size());
    }
    for (const Write &write : writes) {
      const Version &to = *write.to;
      // Reverting: until the entry is open again, a thread that was let go runs the version it would have run.
      const Version &through = to.patch != nullptr ? to : *write.function->current;
      write.function->divert_to.store(through.address);
    }
    const std::uint64_t deadline = monotonic_microseconds() + guard_wait;
    const Guard *active = nullptr;
    for (;;) {
      // Asked first with the entries open, so that nobody is held while a caller is known to be active.
      bool retry = !guards_clear(guards, guard_scan_patience, active);
      if (retry) {
        caller_active(*active, failure);
      } else if (write_entries(writes, pages, guards, tails, method, retry, failure)) {
        break;
      }
      entered = threads_let_go;
      if (!retry || monotonic_microseconds() >= deadline) return false;
      pause_microseconds(1000);
    }
    pages.close();
    for (const Write &write : writes) record(write, pages, method);
  }
  for (const Change &change : changes) make_current(change);
  return true;
}

} // namespace hot_fix
