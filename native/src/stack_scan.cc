// The conservative stack scan.
#include "stack_scan.h"

#include "arch_x86_64.h"
#include "process.h"
#include "threads.h"

#include <algorithm>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uintptr_t most_stack = 16 << 20;
constexpr std::size_t chunk_words = 2048;

/** Calls `visit` with each aligned word that can be read in [start, end); stops when it returns false. */
template <class Visit> void for_each_word(std::uintptr_t start, std::uintptr_t end, Visit visit) {
  std::uintptr_t words[chunk_words];
  for (std::uintptr_t at = (start + 7) & ~std::uintptr_t{7}; at < end;) {
    const std::size_t wanted = std::min<std::size_t>(sizeof words, end - at);
    const std::size_t count = read_memory(at, words, wanted) / sizeof *words;
    if (count == 0) return;
    for (std::size_t i = 0; i < count; i++) {
      if (!visit(words[i])) return;
    }
    at += count * sizeof *words;
  }
}

/** The ranges, sorted, with quick answers for the words that hit none. */
class Ranges {
public:
  explicit Ranges(List<CodeRange> &ranges) : ranges_(ranges) {
    std::sort(ranges.begin(), ranges.end(), [](const CodeRange &a, const CodeRange &b) { return a.start < b.start; });
    for (CodeRange &range : ranges) {
      range.hits = 0;
      range.last_tid = 0;
      range.unsure = false;
      lowest_ = std::min(lowest_, range.start);
      highest_ = std::max(highest_, range.end);
      furthest_.add(highest_);
    }
  }

  bool complete() const { return furthest_.size() == ranges_.size(); }

  void count(std::uintptr_t address, int tid) {
    if (address < lowest_ || address >= highest_) return;
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                        [](std::uintptr_t a, const CodeRange &range) { return a < range.start; });
    // Ranges may overlap: back until none of the earlier ones reaches the address.
    for (auto index = static_cast<std::size_t>(after - ranges_.begin()); index-- > 0 && furthest_[index] > address;) {
      CodeRange &range = ranges_[index];
      if (address >= range.end || range.last_tid == tid) continue;
      range.last_tid = tid;
      range.hits++;
    }
  }

  /** Takes back what was counted for the thread. */
  void forget(int tid) {
    for (CodeRange &range : ranges_) {
      if (range.last_tid != tid) continue;
      range.last_tid = 0;
      range.hits--;
    }
  }

private:
  List<CodeRange> &ranges_;
  List<std::uintptr_t> furthest_; // the highest end of the ranges up to this one
  std::uintptr_t lowest_ = UINTPTR_MAX, highest_ = 0;
};

std::uintptr_t stack_end(const MemoryMap &map, std::uintptr_t stack_pointer) {
  const Mapping *mapping = map.find(stack_pointer);
  if (mapping == nullptr) return stack_pointer;
  return std::min(mapping->end, stack_pointer + most_stack);
}

/** Scans a thread that is blocked before and after; false when it has moved. */
bool scan_blocked(const MemoryMap &map, int tid, const ThreadState &state, Ranges &ranges) {
  ranges.count(state.program_counter, tid);
  for_each_word(state.stack_pointer, stack_end(map, state.stack_pointer), [&](std::uintptr_t word) {
    ranges.count(word, tid);
    return true;
  });
  const ThreadState after = thread_state(tid);
  if (after.program_counter == state.program_counter && after.stack_pointer == state.stack_pointer) return true;
  ranges.forget(tid);
  return after.kind == ThreadState::gone;
}

/** Scans what may be the stacks of threads whose stack pointer is unknown: the main stack, and anonymous memory
 * above a guard page, as far as it is in use. Stacks in `known` were scanned already. */
void scan_possible_stacks(const MemoryMap &map, const List<std::uintptr_t> &known, Ranges &ranges) {
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
    pseudo_tid--;
    const std::uintptr_t start = mapping.end - std::min(mapping.end - mapping.start, most_stack);
    for (std::uintptr_t page = start; page < mapping.end;) {
      bool used[256];
      const std::size_t length = std::min<std::size_t>(sizeof used * arch::page_size, mapping.end - page);
      used_pages(page, length / arch::page_size, used);
      for (std::size_t i = 0; i < length / arch::page_size; i++, page += arch::page_size) {
        if (!used[i]) continue; // reading it would only give it memory
        if (is_own_memory(page)) continue;
        for_each_word(page, page + arch::page_size, [&](std::uintptr_t word) {
          ranges.count(word, pseudo_tid);
          return true;
        });
      }
    }
  }
}

} // namespace

bool scan_stacks(List<CodeRange> &code, std::uint64_t patience) {
  Ranges ranges(code);
  List<int> pending;
  List<std::uintptr_t> known;
  MemoryMap map;
  if (!ranges.complete() || !list_threads(pending) || !map.read()) return false;
  const std::uint64_t deadline = monotonic_microseconds() + patience;
  for (;;) {
    for (std::size_t i = 0; i < pending.size();) {
      const ThreadState state = thread_state(pending[i]);
      bool done = state.kind == ThreadState::gone;
      if (!done && state.stack_pointer != 0 && scan_blocked(map, pending[i], state, ranges)) {
        done = known.add(state.stack_pointer);
      }
      if (done) {
        pending.remove(i);
      } else {
        i++;
      }
    }
    if (pending.empty() || monotonic_microseconds() >= deadline) break;
    pause_microseconds(200);
  }
  if (pending.empty()) return true;

  List<unsigned> exact;
  for (CodeRange &range : code) {
    range.unsure = true;
    if (!exact.add(range.hits)) return false;
  }
  scan_possible_stacks(map, known, ranges);
  for (std::size_t i = 0; i < code.size(); i++) {
    code[i].hits = std::min(code[i].hits, exact[i] + static_cast<unsigned>(pending.size()));
  }
  return true;
}

bool thread_is_in(std::uintptr_t program_counter, std::uintptr_t stack_pointer, std::uintptr_t start,
                  std::uintptr_t end) {
  bool found = program_counter >= start && program_counter < end;
  if (found || stack_pointer == 0) return found;
  for_each_word(stack_pointer, stack_pointer + most_stack, [&](std::uintptr_t word) {
    found = word >= start && word < end;
    return !found;
  });
  return found;
}

} // namespace hot_fix
