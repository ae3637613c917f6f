// futex(2), private to the process.
#include "futex.h"

#include "process.h"

#include <cerrno>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {

bool wait_while(const std::atomic<std::uint32_t> &word, std::uint32_t value, std::uint64_t deadline) {
  const int saved = errno;
  bool changed = false;
  while (!(changed = word.load() != value)) {
    const std::uint64_t now = monotonic_microseconds();
    if (now >= deadline) break;
    const std::uint64_t left = deadline - now;
    const timespec most{static_cast<time_t>(left / 1000000), static_cast<long>(left % 1000000) * 1000};
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, &most, nullptr, 0);
  }
  errno = saved;
  return changed;
}

void wake_all(const std::atomic<std::uint32_t> &word) {
  const int saved = errno;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  errno = saved;
}

void store_and_wake(std::atomic<std::uint32_t> &word, std::uint32_t value) {
  word.store(value);
  wake_all(word);
}

} // namespace hot_fix
