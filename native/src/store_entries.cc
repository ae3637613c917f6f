// Entries changed by single stores.
//
// The five bytes of a jump cannot be stored over running code: a thread may be at the second instruction of the five,
// or come back there from a signal handler. But the first byte alone can be. It makes a jump of what stands behind:
//
//     55 48 89 e5 53    push %rbp; mov %rsp,%rbp; push %rbx      as it was
//     e9 48 89 e5 53    jmp +0x53e58948                          one byte stored: whoever is inside goes on as before
//     e9 xx xx xx xx    jmp new                                  five at once, when every thread was seen outside
//
// Where the four bytes lead we map an island, `jmp *slot(%rip)`, and the slot says where it goes on. Later versions
// change the slot, a word of data, or the jump, which is one instruction that nobody can be inside of. A function
// with its first instruction of five bytes or more needs no such place.
//
// Several entries, or one with guarded callers, change together: a slot that leads to its own island lets whoever
// comes turn round there, for some microseconds, without a trap or a system call.
//
// Debuggers put int3 over bytes where an instruction begins, also behind a first byte of ours, and the distance of
// the jump ends up with cc in it. Where that leads there are twins of the island.
#include "store_entries.h"

#include "fork.h"
#include "process.h"
#include "processor_sync.h"
#include "quiescence.h"

#include "poison.h"

namespace hot_fix {
namespace {

/** Islands where the entry leads once its first byte is that of a jump; with a twin for each set of breakpoints over
 * the bytes behind, of which those at the positions in `needed` must be had. */
bool have_punned_island(Function &function, unsigned needed) {
  if (!function.is_punned()) {
    Island *island = place_island(function.punned_target(), nullptr);
    if (island == nullptr) return false;
    function.island = island;
  }
  const unsigned inside = function.boundaries & boundaries_inside;
  for (unsigned overlaid = inside; overlaid != 0; overlaid = (overlaid - 1) & inside) { // each set of them
    std::uint8_t tail[arch::jump_length - 1];
    for (unsigned i = 0; i < sizeof tail; i++) {
      const bool is_breakpoint = (overlaid >> (i + 1) & 1) != 0;
      tail[i] = is_breakpoint ? arch::breakpoint : function.original[function.jump_offset + 1 + i];
    }
    const Island *twin = place_island(arch::jump_target(function.trampoline(), tail), function.island);
    if (twin == nullptr && (overlaid & ~needed) == 0) return false;
  }
  return true;
}

bool have_any_island(Function &function) {
  if (function.island != nullptr) return true;
  Failure failure;
  function.island = make_island(function.trampoline(), function.symbol, failure);
  return function.island != nullptr;
}

/** Whether the entry can be made to jump to its island, and that jump be taken back. */
bool can_close(const EntryWrite &write, bool is_single, unsigned traced_boundaries) {
  Function &function = *write.function;
  const bool first_is_free = (write.breakpoints & 1) == 0;
  switch (function.form) {
  case Form::island:
    // Breakpoints over the distance are harmless only with twins.
    return write.breakpoints <= 1 || (function.is_punned() && have_punned_island(function, write.breakpoints & ~1U));
  case Form::direct:
    return is_single && have_any_island(function);
  case Form::original:
    if (first_is_free && have_punned_island(function, write.breakpoints | traced_boundaries)) return true;
    return is_single && write.is_empty_inside() && have_any_island(function);
  }
  return false;
}

bool decide(EntryWrite &write, const PageProtection &pages, bool is_traced) {
  Function &function = *write.function;
  const bool is_single = pages.is_single_store(write.address(), arch::jump_length) && write.breakpoints == 0;
  if (!can_close(write, is_single, is_traced ? function.boundaries : 0)) return false;
  if (write.to->patch == nullptr) {
    write.into = Form::original;
    return is_single || (function.is_punned() && (write.breakpoints & 1) == 0);
  }
  write.into = is_single && write.is_in_reach() && write.is_empty_inside() ? Form::direct : Form::island;
  return true;
}

/** Makes the entry stand in the form for the version. Whoever is at the island meanwhile goes there as well. */
void put(const EntryWrite &write, Form form, const Version &version, Form before, PageProtection &pages) {
  Function &function = *write.function;
  std::uint8_t bytes[arch::jump_length];
  function.entry_bytes(form, version, bytes);
  const bool differs_in_first = function.is_punned() && before != Form::direct && form != Form::direct;
  const std::size_t length = differs_in_first ? 1 : sizeof bytes;
  if (form == Form::original) {
    pages.write(write.address(), bytes, length);
    if (function.island != nullptr) function.island->slot->store(write.address());
    return;
  }
  if (function.island != nullptr) function.island->slot->store(version.address);
  if (form == Form::direct || before != form) pages.write(write.address(), bytes, length);
}

/** Lets threads turn round at the island. */
void close_entry(const EntryWrite &write, PageProtection &pages) {
  Version nowhere{};
  nowhere.address = write.function->island->address;
  put(write, Form::island, nowhere, write.function->form, pages);
}

bool add_tail(List<CodeRange> &tails, const Function &function) {
  const std::uintptr_t start = function.trampoline() + 1;
  return tails.add(tail(start, start + arch::jump_length - 1, function.symbol));
}

/** Whether only threads inside may keep the entry from jumping to its version directly. A word of memory that looks
 * like an address in it may stay there for ever: then it is given up. */
bool can_be_straight(const Function &function) {
  constexpr unsigned most_attempts = 5;
  return function.form == Form::island && function.straightening_attempts < most_attempts && function.current->patch != nullptr &&
         arch::in_reach(function.trampoline(), function.current->address) &&
         arch::is_single_store(function.trampoline(), arch::jump_length);
}

void straighten(Function &function, PageProtection &pages) {
  function.is_left = true;
  std::uint8_t bytes[arch::jump_length];
  function.entry_bytes(Form::direct, *function.current, bytes);
  if (!pages.is_single_store(function.trampoline(), sizeof bytes)) return;
  pages.write(function.trampoline(), bytes, sizeof bytes);
  function.form = Form::direct;
}

/** Whether the entry still holds its jump, without a debugger's breakpoint in it: that would put back what was there. */
bool is_untouched(const Function &function) {
  std::uint8_t meant[arch::jump_length], live[arch::jump_length];
  function.entry_bytes(function.form, *function.current, meant);
  return read_memory(function.trampoline(), live, sizeof live) == sizeof live &&
         std::memcmp(meant, live, sizeof live) == 0;
}

} // namespace

bool can_store_entries(List<EntryWrite> &writes, const PageProtection &pages) {
  const bool is_traced = tracer() != 0;
  look_for_places();
  for (EntryWrite &write : writes) {
    if (!decide(write, pages, is_traced)) return false;
  }
  return true;
}

bool store_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, Failure &failure) {
  const bool closes = writes.size() > 1 || !guards.empty();
  if (closes) {
    for (const EntryWrite &write : writes) close_entry(write, pages);
    synchronize_processors();
  }
  const bool clear = guards_are_clear(guards, Meanwhile::closed, failure);
  for (EntryWrite &write : writes) {
    const Function &function = *write.function;
    const Form before = closes ? Form::island : function.form;
    if (clear) {
      put(write, write.into, *write.to, before, pages);
      write.settle(Method::store);
    } else {
      put(write, function.form, *function.current, before, pages);
    }
  }
  synchronize_processors();
  return clear;
}

bool straighten_entries(std::uint64_t patience) {
  List<Function *> functions;
  List<CodeRange> tails;
  PageProtection pages;
  for (Function *function : all_functions()) {
    if (!can_be_straight(*function) || !is_untouched(*function)) continue;
    if (!function->is_left && !add_tail(tails, *function)) return false;
    if (patience != 0) function->straightening_attempts++;
    if (!functions.add(function) || !pages.add(function->trampoline(), arch::jump_length)) return false;
  }
  if (functions.empty() || tracer() != 0) return false;
  if (!tails.empty() && !(patience == 0 ? all_are_outside(tails) : all_get_outside(tails, patience))) return false;
  Failure failure;
  const NoFork no_fork;
  if (!pages.open(failure)) return false;
  for (Function *function : functions) straighten(*function, pages);
  synchronize_processors();
  return true;
}

} // namespace hot_fix
