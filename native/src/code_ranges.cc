// Sorted ranges, searched by bisection.
#include "code_ranges.h"

#include "arch_x86_64.h"
#include "process.h"

#include <algorithm>

#include "poison.h"

namespace hot_fix {

namespace {

/**
 * Whether the word is a landing pad in the header of a C++ exception: behind it stand a pointer to the object and the class
 * of the exception (Itanium C++ ABI, exception handling, 2.2.1), whose lower half names the language and whether the
 * exception depends on another. The pad may follow a call, the one that was thrown through. The header stays when the
 * memory is freed.
 */
bool is_landing_pad(const std::uintptr_t *word, std::size_t count) {
  constexpr std::size_t until_class = 2;
  constexpr std::uint32_t cxx = 0x432b2b00, cxx_dependent = 0x432b2b01; // "C++"
  if (count <= until_class) return false;
  const auto language = static_cast<std::uint32_t>(word[until_class]);
  return language == cxx || language == cxx_dependent;
}

} // namespace

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
    if (!range.counts(address) || range.last_tid == tid) continue;
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
    if (!may_hold(words[i]) || is_landing_pad(words + i, count - i)) continue;
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
