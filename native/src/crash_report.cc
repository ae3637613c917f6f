// The handler of a crash. It wakes the worker and waits for its verdict (held_threads.h): the worker is an ordinary thread
// on a stack of its own, so that nothing has to be done on the stack that overflowed, or under a lock of malloc that the
// thread holds. It uses no function of libc that locks or allocates.
#include "crash_report.h"

#include "held_threads.h"
#include "kernel_signals.h"
#include "worker.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

std::atomic<bool> armed;

void handle_crash(int signal, siginfo_t *info, void *context) {
  const int saved = errno;
  const int tid = static_cast<int>(syscall(SYS_gettid));
  if (is_worker(tid) && was_sent_to_process(*info)) {
    leave_to_others(signal, info, context); // the runtime's thread is none that the program has
    errno = saved;
    return;
  }
  siginfo_t sent = as_sent(*info);
  const Crash crash = crash_of(tid, sent, context);
  const Verdict verdict = is_attended(tid) ? await_verdict(crash) : Verdict::crashes;
  if (verdict != Verdict::goes_on) {
    // When this handler returns, the instruction fails again, or the signal is sent again.
    const KernelAction none{};
    const bool comes_again = crash.is_fault && verdict == Verdict::crashes;
    if (comes_again) {
      kernel_action(signal, &none, nullptr);
    } else {
      leave_to_default(signal, &sent);
    }
  }
  errno = saved;
}

bool is_ours(const KernelAction &action) { return action.handler == reinterpret_cast<std::uintptr_t>(&handle_crash); }

bool is_wanted() {
  const char *setting = secure_getenv("HOT_FIX_CRASH_REPORT");
  return setting == nullptr || (std::strcmp(setting, "0") != 0 && std::strcmp(setting, "off") != 0);
}

} // namespace

bool is_crash_signal(int signal) {
  return std::any_of(crash_signals, crash_signals + sizeof crash_signals / sizeof *crash_signals,
                     [signal](int known) { return known == signal; });
}

void arm_crash_report() {
  if (!is_wanted()) return;
  for (const int signal : crash_signals) {
    KernelAction action{};
    if (!kernel_action(signal, nullptr, &action) || action.handler != reinterpret_cast<std::uintptr_t>(SIG_DFL)) continue;
    install_handler(signal, handle_crash);
  }
  armed.store(true);
}

void disarm_crash_report() {
  armed.store(false);
  const KernelAction none{};
  for (const int signal : crash_signals) {
    KernelAction action{};
    if (kernel_action(signal, nullptr, &action) && is_ours(action)) kernel_action(signal, &none, nullptr);
  }
}

bool is_crash_report_armed() { return armed.load(); }

void stand_in_for_default(int signal, struct sigaction &action) {
  if (!armed.load() || !is_crash_signal(signal) || action.sa_handler != SIG_DFL) return;
  action.sa_sigaction = handle_crash;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
}

void hide_crash_handler(struct sigaction &action) {
  if ((action.sa_flags & SA_SIGINFO) == 0 || action.sa_sigaction != handle_crash) return;
  action = {};
  action.sa_handler = SIG_DFL;
}

} // namespace hot_fix
