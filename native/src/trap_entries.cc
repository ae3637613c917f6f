// Entries that are closed while their bytes are replaced, as the Linux kernel replaces its own text (and as Intel asks
// for cross-modifying code, SDM volume 3, 9.1.3):
//
//     55 48 89 e5 53    push %rbp; mov %rsp,%rbp; push %rbx      as it was
//     cc 48 89 e5 53    closed: a thread that comes here traps, and waits in the handler
//     cc xx xx xx xx    no thread is inside any more: the tail is the new one
//     e9 xx xx xx xx    jmp new                                  open again
//
// with all processors serialised in between. Between closing and the tail stand the two questions that need the
// entries closed: has every thread left the tails, and is no guarded caller active. The answer no undoes the first
// bytes, and nothing has happened.
//
// A debugger's own breakpoint over an entry that stays redirected is left there: its int3 stands for the e9, which is
// the same before and after, so only the tail is written. Where the first byte changes, or where a breakpoint lies
// over the tail, the debugger would put back what it found: the transaction is refused.
//
// Two variants. A thread that blocks SIGTRAP would be killed by the int3. So entries are closed by `jmp .` (two bytes,
// stored at once), where the first instruction is that long. Else the int3 is used where no code of the process can
// block SIGTRAP (trap_masks.h) and no debugger takes it for its own; otherwise all threads are parked by signal.
#include "trap_entries.h"

#include "breakpoint_trap.h"
#include "parking.h"
#include "process.h"
#include "processor_sync.h"
#include "quiescence.h"
#include "threads.h"
#include "trap_masks.h"

#include <algorithm>

#include "poison.h"

namespace hot_fix {
namespace {

struct Bytes {
  std::uint8_t before[arch::jump_length], after[arch::jump_length];
};

Bytes bytes_of(const EntryWrite &write) {
  Bytes bytes;
  write.function->entry_bytes(write.function->form, *write.function->current, bytes.before);
  write.function->entry_bytes(write.into, *write.to, bytes.after);
  return bytes;
}

bool keeps_first(const EntryWrite &write) { return (write.breakpoints & 1) != 0; }

/** Whether `jmp .` can close the entry: no thread can stand on its second byte. */
bool can_spin(const EntryWrite &write, const PageProtection &pages) {
  return pages.is_single_store(write.address(), sizeof arch::jump_to_self) &&
         (write.is_empty_inside() || (write.function->boundaries & 2) == 0);
}

bool decide(EntryWrite &write, Failure &failure) {
  Function &function = *write.function;
  if (write.to->patch == nullptr) {
    write.into = Form::original;
  } else if (write.is_in_reach()) {
    write.into = Form::direct;
  } else {
    write.into = Form::island;
    if (function.island == nullptr) function.island = make_island(function.trampoline(), function.symbol, failure);
    if (function.island == nullptr) return false;
  }
  const Bytes bytes = bytes_of(write);
  if (write.breakpoints == 0 || (write.breakpoints == 1 && bytes.before[0] == bytes.after[0])) return true;
  return fail(failure, Code::original_differs, 0, function.symbol, "there is a debugger's breakpoint at %s (%#lx)",
              function.symbol, static_cast<unsigned long>(function.entry));
}

bool stays_safe() { return handlers_let_trap() && !is_trap_blocked(); }

/** Whether no thread can come to an int3 with SIGTRAP blocked. A handler that was begun before its mask was cleared shows
 * in its thread. */
bool can_trap() {
  Failure failure;
  return !can_block_trap() && claim_breakpoint_trap(failure) && stays_safe();
}

Method choose_method(const List<EntryWrite> &writes, const PageProtection &pages) {
  if (std::any_of(writes.begin(), writes.end(), keeps_first)) return Method::parked; // the others write the first byte
  const bool all_spin =
      std::all_of(writes.begin(), writes.end(), [&](const EntryWrite &write) { return can_spin(write, pages); });
  if (all_spin) return Method::spin;
  return tracer() == 0 && can_trap() ? Method::int3 : Method::parked;
}

/** Whether threads may be led into a handler: each of them calls the kernel there. */
bool handlers_are_allowed(const EntryWrite &write, Failure &failure) {
  const int tid = find_sandboxed_thread();
  if (tid == 0) return true;
  char name[16];
  thread_name(tid, name);
  const char *symbol = write.function->symbol;
  return fail(failure, Code::sandboxed, 0, symbol,
              "thread %d (%s) has a sandbox (seccomp) of its own, and %s cannot be changed without signals", tid, name,
              symbol);
}

std::size_t closing_length(Method method) { return method == Method::spin ? sizeof arch::jump_to_self : 1; }

void close_entries(const List<EntryWrite> &writes, PageProtection &pages, Method method) {
  std::uint8_t closing[sizeof arch::jump_to_self] = {arch::breakpoint, 0};
  if (method == Method::spin) std::memcpy(closing, &arch::jump_to_self, sizeof closing);
  for (const EntryWrite &write : writes) pages.write(write.address(), closing, closing_length(method));
  synchronize_processors();
}

void open_entries(const List<EntryWrite> &writes, PageProtection &pages, Method method, bool changed) {
  for (const EntryWrite &write : writes) {
    const Bytes bytes = bytes_of(write);
    pages.write(write.address(), changed ? bytes.after : bytes.before, closing_length(method));
  }
  synchronize_processors();
}

/** Writes what stands behind the first `done` bytes, and leads those who are at an island to the same version. */
void write_tails(const List<EntryWrite> &writes, PageProtection &pages, std::size_t done) {
  for (const EntryWrite &write : writes) {
    const Function &function = *write.function;
    if (function.island != nullptr) {
      function.island->slot->store(write.into == Form::original ? write.address() : write.to->address);
    }
    pages.write(write.address() + done, bytes_of(write).after + done, arch::jump_length - done);
  }
  synchronize_processors();
}

bool collect_tails(const List<EntryWrite> &writes, List<CodeRange> &tails) {
  return std::all_of(writes.begin(), writes.end(), [&](const EntryWrite &write) {
    if (write.is_empty_inside()) return true;
    const std::uintptr_t start = write.address() + 1;
    return tails.add(tail(start, start + arch::jump_length - 1, write.function->symbol));
  });
}

bool write_parked(const List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards,
                  List<CodeRange> &tails, bool &retry, Failure &failure) {
  if (!park_threads(tails, failure)) return false;
  retry = !guards_are_clear(guards, Meanwhile::parked, failure);
  if (!retry) {
    for (const EntryWrite &write : writes) {
      if (!keeps_first(write)) pages.write(write.address(), bytes_of(write).after, 1);
    }
    write_tails(writes, pages, 1);
  }
  unpark_threads();
  return !retry;
}

bool threads_let_go;

void let_threads_go() {
  threads_let_go = true;
  release_threads();
}

bool write_closed(const List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards,
                  List<CodeRange> &tails, Method method, std::uint64_t hold, bool &retry, Failure &failure) {
  const bool turns = method == Method::spin;
  const Waiting waiting{hold, turns ? nullptr : let_threads_go, turns ? nullptr : stays_safe};
  for (const EntryWrite &write : writes) {
    // Reverting: until the entry is open again, a thread that was let go runs the version it would have run.
    const Version &through = write.to->patch != nullptr ? *write.to : *write.function->current;
    write.function->divert_to.store(through.address);
  }
  hold_threads();
  close_entries(writes, pages, method);
  retry = !guards_are_clear(guards, Meanwhile::closed, failure);
  // When some thread keeps us waiting, the others go on meanwhile, into the new versions. Those that turn on the spot
  // cannot: for them it is tried again.
  const bool clear = !retry && wait_until_outside(tails, waiting, failure);
  retry = !clear && (retry || turns);
  if (clear) write_tails(writes, pages, closing_length(method));
  open_entries(writes, pages, method, clear);
  release_threads();
  return clear;
}

/** Nothing in the entries is looked at by anybody meanwhile. */
void write_at_once(const List<EntryWrite> &writes, PageProtection &pages, bool changed) {
  for (const EntryWrite &write : writes) {
    const Function &function = *write.function;
    const Bytes bytes = bytes_of(write);
    if (function.island != nullptr) {
      const Version &version = changed ? *write.to : *function.current;
      function.island->slot->store(version.patch == nullptr ? write.address() : version.address);
    }
    pages.write(write.address(), changed ? bytes.after : bytes.before, arch::jump_length);
  }
  synchronize_processors();
}

bool is_quiet(const List<Guard> &code, Meanwhile meanwhile, Failure &failure) {
  if (guards_are_clear(code, meanwhile, failure)) return true;
  if (failure.code != Code::caller_active) return false;
  char name[sizeof failure.symbol];
  std::memcpy(name, failure.symbol, sizeof name);
  return fail(failure, Code::caller_active, 0, name, "%s is running, and its old code may have objects of the old layout", name);
}

constexpr unsigned longest_migration = 30; // seconds

} // namespace

bool migrate_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, Migration &migration,
                     bool &entered, Failure &failure) {
  List<CodeRange> tails;
  if (!collect_tails(writes, tails)) {
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu functions", writes.size());
  }
  for (EntryWrite &write : writes) {
    if (!decide(write, failure)) return false;
  }
  // Asked first while threads run, so that nobody stands still for a save that is refused.
  if (!is_quiet(migration.code(), Meanwhile::open, failure)) return false;
  if (!handlers_are_allowed(writes[0], failure) || !park_threads(tails, failure, longest_migration)) return false;
  bool done = is_quiet(migration.code(), Meanwhile::parked, failure) && guards_are_clear(guards, Meanwhile::parked, failure) &&
              migration.enumerate(failure);
  if (done) {
    write_at_once(writes, pages, true);
    done = migration.carry_out(entered, failure);
    if (!done) write_at_once(writes, pages, false);
  }
  unpark_threads();
  if (!done) return false;
  for (EntryWrite &write : writes) write.settle(Method::parked);
  return true;
}

bool trap_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, std::uint64_t hold,
                  bool &retry, bool &entered, Failure &failure) {
  retry = false;
  threads_let_go = false;
  List<CodeRange> tails;
  if (!collect_tails(writes, tails)) {
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu functions", writes.size());
  }
  for (EntryWrite &write : writes) {
    if (!decide(write, failure)) return false;
  }
  Method method = choose_method(writes, pages);
  if (method != Method::spin && !handlers_are_allowed(writes[0], failure)) return false;
  bool done = method != Method::parked && write_closed(writes, pages, guards, tails, method, hold, retry, failure);
  if (!done && method == Method::int3 && failure.code == Code::signals_blocked) method = Method::parked;
  if (method == Method::parked) done = write_parked(writes, pages, guards, tails, retry, failure);
  entered = entered || threads_let_go;
  if (!done) return false;
  for (EntryWrite &write : writes) write.settle(method);
  return true;
}

} // namespace hot_fix
