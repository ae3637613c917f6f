// Asks the stack scan about guarded code, and memory about stacks that no thread is on.
#include "guard.h"

#include "memory_search.h"
#include "stack_scan.h"

#include <algorithm>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t scan_patience = 5000;              // microseconds
constexpr std::size_t most_memory = std::size_t{256} << 20; // to search

bool refuse(const CodeRange &range, Failure &failure) {
  const char *name = static_cast<const Guard *>(range.owner)->name;
  return fail(failure, Code::caller_active, 0, name, "%s is running and relies on what the old code leaves alone", name);
}

/** A search for return addresses, but on the stacks that threads are on, which were scanned, or have been. */
struct Search {
  Ranges ranges;
  List<Mapping> stacks{};

  explicit Search(List<CodeRange> &code) : ranges(code) {}

  /** Notes the stacks: the first thread's, and what lies above a guard page and has a thread, or had one. */
  bool note_stacks(const MemoryMap &map) {
    List<int> threads;
    if (!list_threads(threads)) return false;
    List<std::uintptr_t> pointers;
    for (const int tid : threads) {
      if (!pointers.add(thread_state(tid).stack_pointer)) return false;
    }
    const Mapping *below = nullptr;
    for (const Mapping &mapping : map.mappings()) {
      const bool is_above_guard = below != nullptr && below->end == mapping.start && below->protection == PROT_NONE;
      below = &mapping;
      if (!is_above_guard && std::strcmp(mapping.path, "[stack]") != 0) continue;
      const auto is_on = [&](std::uintptr_t pointer) { return pointer >= mapping.start && pointer < mapping.end; };
      const bool is_judged = std::any_of(pointers.begin(), pointers.end(), is_on);
      if ((is_judged || is_left_stack(mapping.start, mapping.end)) && !stacks.add(mapping)) return false;
    }
    return true;
  }

  void visit(std::uintptr_t at, const std::uintptr_t *words, std::size_t count) {
    constexpr int nobody = -1;
    const auto holds = [&](const Mapping &stack) { return at >= stack.start && at < stack.end; };
    if (std::none_of(stacks.begin(), stacks.end(), holds)) ranges.count_returns(words, count, nobody);
  }
};

/** Looks for suspended coroutines, whose stacks may be anywhere; leaves their hits in the ranges. */
void count_suspended(List<CodeRange> &code) {
  MemoryMap map;
  Search search(code);
  if (!search.ranges.complete() || !map.read() || !search.note_stacks(map)) return;
  const auto visit = [](void *context, std::uintptr_t at, const std::uintptr_t *words, std::size_t count) {
    static_cast<Search *>(context)->visit(at, words, count);
  };
  search_writable_memory(map, most_memory, visit, &search);
}

} // namespace

bool guards_are_clear(const List<Guard> &guards, Meanwhile meanwhile, Failure &failure) {
  if (guards.empty()) return true;
  List<CodeRange> ranges;
  for (const Guard &guard : guards) {
    if (ranges.add({guard.start, guard.start + guard.length, const_cast<Guard *>(&guard), 0, 0, false, false})) continue;
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu guards", guards.size());
  }
  const bool complete = scan_stacks(ranges, meanwhile == Meanwhile::parked ? 0 : scan_patience, Words::frames);
  for (const CodeRange &range : ranges) {
    if (!complete || range.hits != 0 || range.mentioned) return refuse(range, failure);
  }
  if (meanwhile != Meanwhile::open) return true;
  count_suspended(ranges);
  for (const CodeRange &range : ranges) {
    if (range.hits != 0) return refuse(range, failure);
  }
  return true;
}

} // namespace hot_fix
