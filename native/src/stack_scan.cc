// The conservative stack scan.
#include "stack_scan.h"

#include "arch_x86_64.h"
#include "process.h"
#include "thread_frames.h"
#include "threads.h"

#include <algorithm>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uintptr_t most_stack = 16 << 20;
constexpr std::size_t chunk_words = 2048;

/** Calls `visit` with the aligned words that can be read in [start, end), a chunk at a time. */
template <class Visit> void for_each_chunk(std::uintptr_t start, std::uintptr_t end, Visit visit) {
  std::uintptr_t words[chunk_words];
  for (std::uintptr_t at = (start + 7) & ~std::uintptr_t{7}; at < end;) {
    const std::size_t wanted = std::min<std::size_t>(sizeof words, end - at);
    const std::size_t count = read_memory(at, words, wanted) / sizeof *words;
    if (count == 0) return;
    visit(words, count);
    at += count * sizeof *words;
  }
}

void count_words(std::uintptr_t start, std::uintptr_t end, int tid, Words which, Ranges &ranges) {
  for_each_chunk(start, end, [&](const std::uintptr_t *words, std::size_t count) {
    if (which == Words::interrupted) {
      ranges.count_interrupted(words, count, tid);
    } else if (which == Words::frames) {
      ranges.count_returns(words, count, tid);
    } else {
      for (std::size_t i = 0; i < count; i++) ranges.count(words[i], tid);
    }
  });
}

std::uintptr_t stack_end(const MemoryMap &map, std::uintptr_t stack_pointer) {
  const Mapping *mapping = map.find(stack_pointer);
  if (mapping == nullptr) return stack_pointer;
  return std::min(mapping->end, stack_pointer + most_stack);
}

} // namespace

void count_stack(const MemoryMap &map, std::uintptr_t stack_pointer, int tid, Words which, Ranges &ranges) {
  count_words(stack_pointer, stack_end(map, stack_pointer), tid, which, ranges);
}

bool count_blocked(const MemoryMap &map, int tid, const ThreadState &state, Words which, Ranges &ranges) {
  List<std::uintptr_t> counters;
  if (which == Words::frames && find_frames(map, state, counters)) {
    for (const std::uintptr_t counter : counters) ranges.count(counter, tid);
  } else {
    ranges.count(state.program_counter, tid);
    count_stack(map, state.stack_pointer, tid, which, ranges);
  }
  const ThreadState after = thread_state(tid);
  if (after.program_counter == state.program_counter && after.stack_pointer == state.stack_pointer) return true;
  ranges.forget(tid);
  return after.kind == ThreadState::gone;
}

namespace {

/** Scans what may be stacks, but in which no stack pointer is known: the main stack, and anonymous memory above a
 * guard page, as far as it is in use. A running thread's stack is among them, and that of a blocked one whose handler
 * runs on another. Stacks in `known` were scanned already. */
void scan_possible_stacks(const MemoryMap &map, const List<std::uintptr_t> &known, Words which, Ranges &ranges) {
  const PagesInUse pages;
  const Mapping *below = nullptr;
  int pseudo_tid = -1;
  for (const Mapping &mapping : map.mappings()) {
    const bool above_guard = below != nullptr && below->end == mapping.start && below->protection == PROT_NONE;
    below = &mapping;
    const bool is_main = std::strcmp(mapping.path, "[stack]") == 0;
    const bool is_memory = (mapping.protection & PROT_WRITE) != 0 && !mapping.shared && mapping.path[0] == '\0';
    if (!is_main && !(is_memory && above_guard)) continue;
    const auto holds = [&](std::uintptr_t address) { return address >= mapping.start && address < mapping.end; };
    if (std::any_of(known.begin(), known.end(), holds)) continue;
    if (which == Words::frames && is_left_stack(mapping.start, mapping.end)) continue;
    pseudo_tid--;
    const std::uintptr_t start = mapping.end - std::min(mapping.end - mapping.start, most_stack);
    for (std::uintptr_t at = start; at < mapping.end;) {
      const PagesInUse::Run run = pages.next(at, mapping.end); // reading others would only give them memory
      for (at = run.start; at < run.end; at += arch::page_size) {
        if (!is_own_memory(at)) count_words(at, at + arch::page_size, pseudo_tid, which, ranges);
      }
    }
  }
}

} // namespace

bool scan_stacks(List<CodeRange> &code, std::uint64_t patience, Words which, LookAtRunning look_at_running) {
  Ranges ranges(code);
  List<int> pending;
  List<std::uintptr_t> known;
  MemoryMap map;
  if (!ranges.complete() || !list_threads(pending) || !map.read()) return false;
  const std::uint64_t deadline = monotonic_microseconds() + patience;
  const auto is_blocked = [&](int tid) {
    const ThreadState state = thread_state(tid);
    if (state.kind == ThreadState::gone) return true;
    return state.stack_pointer != 0 && count_blocked(map, tid, state, which, ranges) && known.add(state.stack_pointer);
  };
  const auto has_shown = [&](int tid) {
    if (is_blocked(tid)) return true;
    const std::uintptr_t stack_pointer = look_at_running(map, tid, ranges);
    return stack_pointer != 0 && known.add(stack_pointer);
  };
  for (;;) {
    pending.remove_if(is_blocked);
    if (pending.empty() || monotonic_microseconds() >= deadline) break;
    pause_microseconds(200);
  }
  if (look_at_running != nullptr) pending.remove_if(has_shown);

  List<unsigned> exact;
  for (CodeRange &range : code) {
    range.unsure = !pending.empty();
    if (!exact.add(range.hits)) return false;
  }
  scan_possible_stacks(map, known, which, ranges);
  for (std::size_t i = 0; i < code.size(); i++) {
    code[i].mentioned = code[i].hits > exact[i];
    code[i].hits = std::min(code[i].hits, exact[i] + static_cast<unsigned>(pending.size()));
  }
  return true;
}

} // namespace hot_fix
