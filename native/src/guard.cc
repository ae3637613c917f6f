// Asks the stack scan about guarded code.
#include "guard.h"

#include "stack_scan.h"

#include "poison.h"

namespace hot_fix {

bool guards_are_clear(const List<Guard> &guards, bool parked, Failure &failure) {
  constexpr std::uint64_t scan_patience = 5000; // microseconds
  if (guards.empty()) return true;
  List<CodeRange> ranges;
  for (const Guard &guard : guards) {
    if (ranges.add({guard.start, guard.start + guard.length, const_cast<Guard *>(&guard), 0, 0, false, false})) continue;
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for %zu guards", guards.size());
  }
  const bool complete = scan_stacks(ranges, parked ? 0 : scan_patience);
  for (const CodeRange &range : ranges) {
    if (complete && range.hits == 0) continue;
    const char *name = static_cast<const Guard *>(range.owner)->name;
    return fail(failure, Code::caller_active, 0, name,
                "%s is running and relies on what the old code leaves alone", name);
  }
  return true;
}

} // namespace hot_fix
