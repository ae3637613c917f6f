// libc has other threads make the call in the handler of a signal that is its own (SIGSETXID, 33). In front of that
// stands the handler here, which knows nothing of how the program changed its capabilities, and needs not.
#include "credentials.h"

#include "doorbell.h"
#include "kernel_signals.h"
#include "process.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int set_ids_signal = 33; // nptl's SIGSETXID, which it starts no second thread without having a handler for
constexpr unsigned longest_call = 100; // milliseconds that the first thread is given to make its own call, the last

using Handler = void (*)(int, siginfo_t *, void *);
std::atomic<std::uintptr_t> next_handler;
std::atomic<const char *> stack_begin, stack_end; // the worker's; null: there is none
std::atomic<bool> is_capable{true}; // there is nothing to follow when the worker has no capabilities; until it is known
std::atomic<bool> is_ahead;   // it has made a call, which the first thread makes behind it

struct Capabilities {
  __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

/** @param tid 0: the calling thread */
bool read_capabilities(int tid, Capabilities &capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, tid};
  return syscall(SYS_capget, &header, capabilities.words) == 0;
}

/** Those of the first thread; the worker never has fewer that are permitted, so it may. */
void adopt_capabilities() {
  Capabilities wanted{}, own{};
  if (!read_capabilities(getpid(), wanted) || !read_capabilities(0, own)) return;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  if (std::memcmp(&wanted, &own, sizeof own) != 0) syscall(SYS_capset, &header, wanted.words);
  is_capable.store((wanted.words[0].permitted | wanted.words[1].permitted) != 0);
}

/** Runs in every thread that is to make the call. */
void handle_set_ids(int signal, siginfo_t *info, void *context) {
  const int saved = errno;
  const char here = 0;
  if (is_capable.load() && &here >= stack_begin.load() && &here < stack_end.load()) {
    adopt_capabilities();
    // Whether the first thread keeps its capabilities cannot be asked. What was kept too long goes afterwards.
    prctl(PR_SET_KEEPCAPS, 1);
    is_ahead.store(true);
    ring();
  }
  errno = saved;
  reinterpret_cast<Handler>(next_handler.load())(signal, info, context);
}

} // namespace

void begin_following(const char *stack, std::size_t size) {
  stack_begin.store(stack);
  stack_end.store(stack + size);
  KernelAction action{};
  if (!kernel_action(set_ids_signal, nullptr, &action)) return;
  const auto own = reinterpret_cast<std::uintptr_t>(&handle_set_ids);
  if (action.handler == own || action.handler == reinterpret_cast<std::uintptr_t>(SIG_DFL) ||
      action.handler == reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
    return;
  }
  next_handler.store(action.handler);
  action.handler = own;
  kernel_action(set_ids_signal, &action, nullptr);
}

void forget_follower() {
  stack_begin.store(nullptr);
  stack_end.store(nullptr);
}

void follow_credentials() {
  if (!is_capable.load()) return;
  const bool was_ahead = is_ahead.exchange(false);
  for (unsigned waited = 0; was_ahead && waited < longest_call; waited++) {
    adopt_capabilities();
    pause_microseconds(1000);
  }
  adopt_capabilities();
}

} // namespace hot_fix
