// The two functions of libc that change capabilities are defined here in its place. They are plain system calls; the
// worker then makes the same one, in the handler of its doorbell.
#include "credentials.h"

#include "doorbell.h"
#include "process.h"

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <ctime>
#include <linux/capability.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace {

using namespace hot_fix;

// In microseconds; only reached when the program has taken the doorbell's signal for itself.
constexpr std::uint64_t patience = 1000000;

struct Call {
  long number;
  unsigned long arguments[5];
};

// One at a time: only the first thread asks, and it waits.
Call call;
__user_cap_header_struct header;
__user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
enum : std::uint32_t { none, asked, done };
std::atomic<std::uint32_t> state{none};
std::atomic<int> follower; // the worker's tid; 0: it has not begun
std::atomic<int> followed; // the process that it belongs to: children of vfork share this memory

void futex(int operation, std::uint32_t value, const timespec *timeout) {
  static_assert(sizeof state == sizeof(std::uint32_t));
  syscall(SYS_futex, &state, operation | FUTEX_PRIVATE_FLAG, value, timeout);
}

bool is_followed() { return followed.load() == getpid() && syscall(SYS_gettid) == getpid(); }

/** Has the worker make the call as well. What the call does to it is not our caller's affair. */
void have_followed() {
  const int saved = errno;
  state.store(asked);
  const int tid = follower.load();
  if (tid != 0) ring_thread(tid);
  const std::uint64_t begin = monotonic_microseconds();
  while (state.load() == asked && monotonic_microseconds() - begin < patience) {
    constexpr timespec slice{0, 50000000};
    futex(FUTEX_WAIT, asked, &slice);
  }
  state.store(none);
  errno = saved;
}

/** The options of prctl(2) that are a thread's own and decide what setuid and setgid may do and leave. */
bool decides_capabilities(int option) {
  switch (option) {
  case PR_SET_KEEPCAPS:
  case PR_SET_SECUREBITS:
  case PR_CAPBSET_DROP:
  case PR_CAP_AMBIENT:
    return true;
  default:
    return false;
  }
}

} // namespace

void hot_fix::follow_process() { followed.store(getpid()); }

void hot_fix::begin_following() {
  follower.store(static_cast<int>(syscall(SYS_gettid)));
  follow_credentials();
}

void hot_fix::forget_follower() {
  follower.store(0);
  state.store(none);
}

void hot_fix::follow_credentials() {
  if (state.load() != asked || syscall(SYS_gettid) != follower.load()) return;
  const auto &[first, second, third, fourth, fifth] = call.arguments;
  syscall(call.number, first, second, third, fourth, fifth);
  std::uint32_t expected = asked;
  state.compare_exchange_strong(expected, done);
  futex(FUTEX_WAKE, INT_MAX, nullptr);
}

extern "C" {

__attribute__((visibility("default"))) int prctl(int option, ...) {
  unsigned long arguments[4];
  va_list list;
  va_start(list, option);
  for (unsigned long &argument : arguments) argument = va_arg(list, unsigned long);
  va_end(list);
  const auto &[first, second, third, fourth] = arguments;
  const long result = syscall(SYS_prctl, option, first, second, third, fourth);
  if (result == 0 && decides_capabilities(option) && is_followed()) {
    call = {SYS_prctl, {static_cast<unsigned long>(option), first, second, third, fourth}};
    have_followed();
  }
  return static_cast<int>(result);
}

__attribute__((visibility("default"))) int capset(cap_user_header_t to, const cap_user_data_t values) {
  const long result = syscall(SYS_capset, to, values);
  // pid 0 is the calling thread. An older version has half of the values, and is not used any more.
  if (result == 0 && to->version == _LINUX_CAPABILITY_VERSION_3 && is_followed()) {
    header = {to->version, 0};
    for (std::size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) data[i] = values[i];
    call = {SYS_capset, {reinterpret_cast<unsigned long>(&header), reinterpret_cast<unsigned long>(data), 0, 0, 0}};
    have_followed();
  }
  return static_cast<int>(result);
}
}
