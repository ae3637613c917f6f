// Entries under running threads: what is to be changed, and which of two ways can change it. Single stores come
// first (store_entries.h), since nobody can be in their way. Entries are closed (trap_entries.h) where the place that
// a stored first byte would lead to is taken, where no store is single, or where a debugger's breakpoint lies over it.
#include "transaction.h"

#include "page_protection.h"
#include "process.h"
#include "processor_sync.h"
#include "store_entries.h"
#include "trap_entries.h"

#include <algorithm>

#include "poison.h"

namespace hot_fix {
namespace {

// In microseconds. A guarded caller that stays is found by the engine again and again; a thread that was in the way
// of closed entries goes on while they are open.
constexpr std::uint64_t guard_wait = 100000, thread_wait = 2000000;
// Threads are held this long at first, and longer each time that it was too short for threads which get no processor.
constexpr std::uint64_t first_hold = 50000, longest_hold = 800000;

/** Whether the entry holds what it should; a debugger's breakpoints may lie over it, and are noted. */
bool is_as_expected(EntryWrite &write, bool is_traced) {
  const Function &function = *write.function;
  std::uint8_t live[sizeof function.original], expected[sizeof function.original], entry[arch::jump_length];
  std::memcpy(expected, function.original, sizeof expected);
  function.entry_bytes(function.form, *function.current, entry);
  std::memcpy(expected + function.jump_offset, entry, sizeof entry);
  if (read_memory(function.entry, live, function.original_length) != function.original_length) return false;
  for (std::uint32_t i = 0; i < function.original_length; i++) {
    if (live[i] == expected[i]) continue;
    if (live[i] != arch::breakpoint || !is_traced) return false;
    const bool is_written = i >= function.jump_offset && i < function.jump_offset + arch::jump_length;
    if (is_written) write.breakpoints |= 1U << (i - function.jump_offset);
  }
  return true;
}

/** What is to be written, and that the entries hold what they should. Leaves out what is current already. */
bool plan(const List<Change> &changes, List<EntryWrite> &writes, PageProtection &pages, Failure &failure) {
  const bool is_traced = tracer() != 0;
  for (const Change &change : changes) {
    Function &function = *change.function;
    EntryWrite write{&function, change.to, function.form, 0};
    if (!is_as_expected(write, is_traced)) {
      return fail(failure, Code::original_differs, 0, function.symbol, "the bytes at %s (%#lx) are not those expected",
                  function.symbol, static_cast<unsigned long>(function.entry));
    }
    if (function.current == change.to) continue;
    if (!writes.add(write) || !pages.add(write.address(), arch::jump_length)) {
      return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu functions", changes.size());
    }
  }
  return true;
}

/** Changes the entries, giving guarded callers some time to return. */
bool write_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, bool &entered,
                   Failure &failure) {
  const std::uint64_t start = monotonic_microseconds();
  const bool stores = can_store_entries(writes, pages);
  for (std::uint64_t hold = first_hold;;) {
    // Asked first with the entries open, so that nobody is held while a caller is known to be active.
    bool retry = !guards_are_clear(guards, Meanwhile::open, failure);
    if (!retry) {
      if (stores ? store_entries(writes, pages, guards, failure)
                 : trap_entries(writes, pages, guards, hold, retry, entered, failure)) {
        return true;
      }
      retry = retry || stores;
      hold = std::min(2 * hold, longest_hold);
    }
    const std::uint64_t patience = failure.code == Code::caller_active ? guard_wait : thread_wait;
    if (!retry || monotonic_microseconds() - start >= patience) return false;
    pause_microseconds(1000);
  }
}

void record(const EntryWrite &write, const PageProtection &pages) {
  Function &function = *write.function;
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

bool commit(const List<Change> &changes, const List<Guard> &guards, Migration &migration, bool &entered,
            Failure &failure) {
  entered = false;
  PageProtection pages;
  List<EntryWrite> writes;
  if (!plan(changes, writes, pages, failure)) return false;
  if (writes.empty() && migration.is_asked_for()) {
    return fail(failure, Code::bad_request, 0, nullptr, "objects are to be migrated, and no function changes");
  }
  if (!writes.empty()) {
    if (!prepare_synchronization(failure) || !pages.open(failure)) return false;
    const bool is_written = migration.is_asked_for() ? migrate_entries(writes, pages, guards, migration, entered, failure)
                                                     : write_entries(writes, pages, guards, entered, failure);
    if (!is_written) return false;
    pages.close();
    for (const EntryWrite &write : writes) record(write, pages);
  }
  for (const Change &change : changes) make_current(change);
  straighten_entries(0);
  return true;
}

} // namespace hot_fix
