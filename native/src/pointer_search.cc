// The search for addresses that must be gone, and the parts of memory that are passed over: below the stack pointers, the
// stacks of threads that have ended, and chunks that malloc has back.
#include "pointer_search.h"

#include "arch_x86_64.h"
#include "call_frames.h"
#include "code_ranges.h"
#include "freed_memory.h"
#include "function_table.h"
#include "hot_fix.h"
#include "kernel_pointers.h"
#include "memory_search.h"
#include "parking.h"
#include "process.h"
#include "threads.h"
#include "user_code.h"

#include <algorithm>
#include <cstdio>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t most_memory = std::size_t{1} << 30; // to search
constexpr std::uintptr_t red_zone = 128;                  // below the stack pointer (psABI, 3.2.2)

constexpr unsigned most_frames = 8; // of libc, and of the runtime

/**
 * Goes to the first frame of the program's own code, of a parked thread that was asleep. What lies below that frame is dead,
 * or belongs to functions that know nothing of the program but what they were given; and there old addresses are often left,
 * of calls that were made before. False for a thread that was doing something: it may hold addresses anywhere.
 */
bool find_sleeper(const MemoryMap &map, const ucontext_t *context, FrameState &found) {
  FrameState frame{};
  frame.program_counter = arch::program_counter(context);
  for (unsigned number = 0; number < arch::last_unwind_register; number++) {
    frame.registers[number] = arch::dwarf_register(context, number);
    frame.known |= std::uint32_t{1} << number;
  }
  const auto sync_point = reinterpret_cast<std::uintptr_t>(&hot_fix_can_patch_now);
  const bool is_in_libc = is_part_of_libc(map, frame.program_counter);
  const bool is_asleep = is_in_libc && arch::has_ended_call(context);
  // Between the program and a call that is made again may be functions that go on with what they were given.
  const bool is_waiting = is_in_libc && arch::is_before_call(context);
  bool is_found = false;
  for (unsigned count = 0; count < most_frames; count++) {
    if ((is_asleep || (is_waiting && count == 1)) && !is_found && !is_part_of_libc(map, frame.program_counter)) {
      found = frame;
      is_found = true;
    }
    std::uintptr_t function[2];
    if (step_frame(frame, count > 0, function) != FrameStep::caller) break;
    if (sync_point < function[0] || sync_point >= function[1]) continue;
    found = frame;
    return true;
  }
  return is_found;
}

struct Search {
  List<Span> &spans;
  Ranges code;
  List<Mapping> passed_over{}; // a mapping, or its part
  List<Mapping> stacks{};      // that threads are on, which were scanned for calls, or have been
  FreedMemory freed{};
  List<std::uintptr_t> registers{}; // of threads that were asleep
  std::uintptr_t lowest = UINTPTR_MAX, highest = 0;
  std::uintptr_t found_at = 0, found = 0;
  const Span *found_in = nullptr;
  const char *holder = nullptr; // of a word that is not in memory

  Search(List<Span> &all, List<CodeRange> &ranges) : spans(all), code(ranges) {
    std::sort(spans.begin(), spans.end(), [](const Span &a, const Span &b) { return a.start < b.start; });
    for (const Span &span : spans) {
      lowest = std::min(lowest, span.start);
      highest = std::max(highest, span.end);
    }
  }

  /** The spans do not overlap. */
  const Span *span_of(std::uintptr_t word) const {
    if (word < lowest || word >= highest) return nullptr;
    const Span *after = std::upper_bound(spans.begin(), spans.end(), word,
                                         [](std::uintptr_t value, const Span &span) { return value < span.start; });
    return after != spans.begin() && word < (after - 1)->end ? after - 1 : nullptr;
  }

  static bool holds(const List<Mapping> &parts, std::uintptr_t at) {
    return std::any_of(parts.begin(), parts.end(),
                       [at](const Mapping &part) { return at >= part.start && at < part.end; });
  }

  /** What was given to the system call, and what the program has in registers behind it. */
  bool add_registers(const ucontext_t *context, const FrameState &frame) {
    bool complete = true;
    for (const unsigned number : arch::call_argument_columns) {
      complete = registers.add(arch::dwarf_register(context, number)) && complete;
    }
    for (unsigned number = 0; number < arch::last_unwind_register; number++) {
      if ((arch::callee_saved_columns >> number & 1) == 0 || !frame.knows(number)) continue;
      complete = registers.add(frame.registers[number]) && complete;
    }
    return complete;
  }

  /** A word that is not in memory. */
  void visit_word(std::uintptr_t word, const char *what) {
    const Span *span = span_of(word);
    if (span == nullptr || found_in != nullptr) return;
    found_in = span;
    found = word;
    holder = what;
  }

  bool prepare(const MemoryMap &map) {
    freed.read(map);
    for (const Patch *patch : all_patches()) {
      if (!patch->is_stillborn) continue;
      Mapping part{};
      part.start = patch->base;
      part.end = patch->base + patch->length;
      if (!passed_over.add(part)) return false;
    }
    List<int> threads;
    List<std::uintptr_t> pointers;
    if (!list_threads(threads)) return false;
    for (const int tid : threads) {
      const std::uintptr_t own = thread_state(tid).stack_pointer;
      const ucontext_t *context = parked_context(tid);
      FrameState frame{};
      std::uintptr_t pointer = own - red_zone;
      if (context != nullptr && find_sleeper(map, context, frame)) {
        pointer = frame.registers[arch::stack_pointer_column];
        if (!add_registers(context, frame)) return false;
      } else if (context != nullptr && map.find(arch::stack_pointer(context)) != map.find(own)) {
        pointer = arch::stack_pointer(context) - red_zone; // its handler has a stack of its own
      }
      if (own != 0 && !pointers.add(pointer)) return false;
    }
    const Mapping *below = nullptr;
    for (const Mapping &mapping : map.mappings()) {
      const bool is_above_guard = below != nullptr && below->end == mapping.start && below->protection == PROT_NONE;
      below = &mapping;
      if (!is_above_guard && std::strcmp(mapping.path, "[stack]") != 0) continue;
      const auto is_on = [&](std::uintptr_t pointer) { return pointer >= mapping.start && pointer < mapping.end; };
      const std::uintptr_t *pointer = std::find_if(pointers.begin(), pointers.end(), is_on);
      Mapping part = mapping;
      if (pointer != pointers.end()) {
        part.end = *pointer;
      } else if (!is_left_stack(mapping.start, mapping.end)) {
        continue;
      }
      if (!passed_over.add(part) || !stacks.add(mapping)) return false;
    }
    return true;
  }

  void visit(std::uintptr_t at, const std::uintptr_t *words, std::size_t count) {
    for (std::size_t i = 0; i < count && found_in == nullptr; i++) {
      const Span *span = span_of(words[i]);
      const std::uintptr_t place = at + i * sizeof *words;
      if (span == nullptr || holds(passed_over, place) || freed.holds(place, words[i])) continue;
      const Span *around = span_of(place);
      if (around != nullptr && around->is_object) continue;
      found_in = span;
      found_at = place;
      found = words[i];
    }
    constexpr int nobody = -1;
    if (!holds(stacks, at)) code.count_returns(words, count, nobody);
  }
};

bool tell_left(const MemoryMap &map, const Search &search, Failure &failure) {
  const Mapping *mapping = map.find(search.found_at);
  char where[256];
  if (search.holder != nullptr) {
    std::snprintf(where, sizeof where, "%s", search.holder);
  } else {
    const bool is_named = mapping != nullptr && mapping->path[0] != '\0';
    std::snprintf(where, sizeof where, "the word at %#lx (%.200s)", static_cast<unsigned long>(search.found_at),
                  is_named ? mapping->path : "anonymous memory");
  }
  const Span &span = *search.found_in;
  if (!span.is_object) {
    return fail(failure, Code::pointer_left, 0, span.name, "%s holds the address of %s, which is of the old layout", where,
                span.name);
  }
  return fail(failure, Code::pointer_left, 0, nullptr,
              "%s holds %#lx, an address in an object of the old `%s`, and the migration did not visit it", where,
              static_cast<unsigned long>(search.found), span.name);
}

} // namespace

bool no_pointer_is_left(List<Span> &spans, const List<Guard> &code, Failure &failure) {
  List<CodeRange> ranges;
  for (const Guard &guard : code) {
    if (ranges.add({guard.start, guard.start + guard.length, const_cast<Guard *>(&guard), 0, 0, false, false})) continue;
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu ranges of code", code.size());
  }
  MemoryMap map;
  Search search(spans, ranges);
  const auto visit = [](void *context, std::uintptr_t at, const std::uintptr_t *words, std::size_t count) {
    static_cast<Search *>(context)->visit(at, words, count);
  };
  const auto visit_word = [](void *context, std::uintptr_t word, const char *what) {
    static_cast<Search *>(context)->visit_word(word, what);
  };
  const bool is_complete = search.code.complete() && map.read() && search.prepare(map) &&
                           search_writable_memory(map, most_memory, visit, &search) &&
                           visit_kernel_pointers(visit_word, &search);
  for (const std::uintptr_t word : search.registers) search.visit_word(word, "a register of a thread");
  if (search.found_in != nullptr) return tell_left(map, search, failure);
  for (const CodeRange &range : ranges) {
    if (range.hits == 0) continue;
    const char *name = static_cast<const Guard *>(range.owner)->name;
    return fail(failure, Code::caller_active, 0, name, "%s is suspended somewhere, and its old code has objects of the old layout",
                name);
  }
  return is_complete || fail(failure, Code::migration_failed, 0, nullptr,
                             "the process cannot be searched for pointers to the old objects (it has more than 1 GiB, or /proc "
                             "does not say what the kernel holds for it)");
}

} // namespace hot_fix
