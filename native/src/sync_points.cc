// One word, which says what the worker wants and whether a thread stands there. Its upper part counts the waits, so that a
// thread of one is not taken for a thread of the next.
#include "sync_points.h"

#include "futex.h"
#include "hot_fix.h"
#include "process.h"
#include "running_copy.h"

#include <algorithm>
#include <atomic>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr unsigned longest_limit = 5000; // milliseconds
constexpr std::uint64_t look_again = 60000000; // microseconds

enum : std::uint32_t { nothing, wanted, standing, kinds = 4 };
std::atomic<std::uint32_t> state; // a futex word: a number of waits times `kinds`, and one of these
std::atomic<std::uint32_t> last_live; // the state of the thread that stood there when entries last changed
std::atomic<unsigned> limit; // milliseconds; 0: entries may change at any time
std::atomic<decltype(&hot_fix_can_patch_now)> other_copy; // of the runtime, which is the one that runs

std::uint32_t kind_of(std::uint32_t value) { return value % kinds; }

void end_wait() { store_and_wake(state, (state.load() / kinds + 1) * kinds); }

int stand() {
  std::uint32_t asked = state.load();
  if (kind_of(asked) != wanted) return 0;
  const std::uint32_t here = asked - wanted + standing;
  if (!state.compare_exchange_strong(asked, here)) return 0;
  wake_all(state);
  while (!wait_while(state, here, monotonic_microseconds() + look_again)) {
  }
  return last_live.load() == here;
}

} // namespace

bool SyncPoint::reach(Failure &failure) {
  const unsigned milliseconds = limit.load();
  if (milliseconds == 0) return true;
  std::uint32_t asked = state.load() / kinds * kinds + wanted;
  state.store(asked);
  wait_while(state, asked, monotonic_microseconds() + milliseconds * std::uint64_t{1000});
  const std::uint32_t next = asked - wanted + kinds;
  is_reached_ = !state.compare_exchange_strong(asked, next) && kind_of(asked) == standing;
  if (is_reached_) return true;
  return fail(failure, Code::no_sync_point, 0, nullptr, "no thread of the program came to hot_fix_can_patch_now() in %u ms",
              milliseconds);
}

SyncPoint::~SyncPoint() {
  if (!is_reached_) return;
  if (is_live_) last_live.store(state.load());
  end_wait();
}

bool uses_sync_points() { return limit.load() != 0; }

void give_up_sync_points() { end_wait(); }

} // namespace hot_fix

extern "C" {

__attribute__((visibility("default"))) void hot_fix_use_sync_points(unsigned milliseconds) {
  using namespace hot_fix;
  if (const auto other = in_running_copy(&hot_fix_use_sync_points, "hot_fix_use_sync_points")) {
    other_copy.store(in_running_copy(&hot_fix_can_patch_now, "hot_fix_can_patch_now"));
    other(milliseconds);
    return;
  }
  limit.store(std::min(milliseconds, longest_limit));
}

__attribute__((visibility("default"))) int hot_fix_can_patch_now(void) {
  const auto other = hot_fix::other_copy.load();
  return other != nullptr ? other() : hot_fix::stand();
}
}
