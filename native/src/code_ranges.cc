// Sorted ranges, searched by bisection.
#include "code_ranges.h"

#include "arch_x86_64.h"
#include "process.h"

#include <algorithm>

#include "poison.h"

namespace hot_fix {

bool follows_call(std::uintptr_t address) {
  std::uint8_t before[arch::longest_call];
  return read_memory(address - sizeof before, before, sizeof before) == sizeof before && arch::ends_with_call(before);
}

Ranges::Ranges(List<CodeRange> &ranges) : ranges_(ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CodeRange &a, const CodeRange &b) { return a.start < b.start; });
  for (CodeRange &range : ranges) {
    range.hits = 0;
    range.last_tid = 0;
    range.unsure = range.mentioned = false;
    lowest_ = std::min(lowest_, range.start);
    highest_ = std::max(highest_, range.end);
    furthest_.add(highest_);
  }
}

void Ranges::count_inside(std::uintptr_t address, int tid) {
  const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                      [](std::uintptr_t a, const CodeRange &range) { return a < range.start; });
  // Ranges may overlap: back until none of the earlier ones reaches the address.
  for (auto index = static_cast<std::size_t>(after - ranges_.begin()); index-- > 0 && furthest_[index] > address;) {
    CodeRange &range = ranges_[index];
    if (address >= range.end || range.last_tid == tid) continue;
    range.last_tid = tid;
    range.hits++;
    total_++;
  }
}

void Ranges::count_interrupted(const std::uintptr_t *words, std::size_t count, int tid) {
  for (std::size_t i = 0; i < count; i++) {
    if (!may_hold(words[i])) continue;
    if (arch::is_interrupted_counter(words + i, count - i)) count_inside(words[i], tid);
  }
}

void Ranges::count_returns(const std::uintptr_t *words, std::size_t count, int tid) {
  for (std::size_t i = 0; i < count; i++) {
    if (!may_hold(words[i])) continue;
    if (follows_call(words[i]) || arch::is_interrupted_counter(words + i, count - i)) count_inside(words[i], tid);
  }
}

void Ranges::forget(int tid) {
  for (CodeRange &range : ranges_) {
    if (range.last_tid != tid) continue;
    range.last_tid = 0;
    range.hits--;
    total_--;
  }
}

} // namespace hot_fix
