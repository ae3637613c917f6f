// Signal dispositions and masks by direct system calls.
#include "kernel_signals.h"

#include <cerrno>
#include <cstring>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "poison.h"

// glibc's own name for sigaction: reached even where the program or a preloaded library defines `sigaction`.
extern "C" int __sigaction(int signal, const struct sigaction *action, struct sigaction *previous);

namespace hot_fix {

bool kernel_action(int signal, const KernelAction *action, KernelAction *previous) {
  return syscall(SYS_rt_sigaction, signal, action, previous, sizeof(SignalBits)) == 0;
}

int kernel_mask(int how, const SignalBits *bits, SignalBits *previous) {
  const int saved = errno;
  // Not as an immediate: that is what code that blocks signals behind the runtime's back is known by (trap_masks.h).
  volatile long number = SYS_rt_sigprocmask;
  const long result = syscall(number, how, bits, previous, sizeof(SignalBits));
  const int error_number = result != 0 ? errno : 0;
  errno = saved;
  return error_number;
}

bool install_handler(int signal, void (*handler)(int, siginfo_t *, void *), KernelAction *previous, int more_flags) {
  struct sigaction action {}, before {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | more_flags;
  sigemptyset(&action.sa_mask);
  if (__sigaction(signal, &action, &before) != 0) return false;
  if (previous == nullptr) return true;
  previous->handler = reinterpret_cast<std::uintptr_t>(before.sa_sigaction);
  previous->flags = static_cast<std::uint64_t>(before.sa_flags);
  std::memcpy(&previous->mask, &before.sa_mask, sizeof previous->mask); // signals 1 to 64 are its first word
  return true;
}

void leave_to_default(int signal, siginfo_t *info) {
  const KernelAction none{};
  const SignalBits itself = signal_bit(signal);
  kernel_action(signal, &none, nullptr);
  kernel_mask(SIG_BLOCK, &itself, nullptr);
  syscall(SYS_rt_tgsigqueueinfo, getpid(), static_cast<int>(syscall(SYS_gettid)), signal, info);
}

bool was_sent_to_process(const siginfo_t &info) { return info.si_code == SI_USER || info.si_code == SI_QUEUE; }

// Only the main thread may repeat what kill() has said (rt_sigqueueinfo(2)), so it is told as of a signal that was queued,
// with this for its value.
const char of_kill = 0;

void leave_to_others(int signal, siginfo_t *info, void *context) {
  sigaddset(&static_cast<ucontext_t *>(context)->uc_sigmask, signal); // in effect when the handler returns
  siginfo_t queued = *info;
  if (info->si_code == SI_USER) {
    queued.si_code = SI_QUEUE;
    queued.si_value.sival_ptr = const_cast<char *>(&of_kill);
  }
  // Until the handler returns the kernel blocks the signal itself.
  syscall(SYS_rt_sigqueueinfo, getpid(), signal, &queued);
}

siginfo_t as_sent(const siginfo_t &info) {
  siginfo_t sent = info;
  if (info.si_code == SI_QUEUE && info.si_value.sival_ptr == &of_kill) {
    sent.si_code = SI_USER;
    sent.si_value.sival_ptr = nullptr;
  }
  return sent;
}

int free_realtime_signal() {
  for (int signal = SIGRTMAX; signal >= SIGRTMIN; signal--) {
    KernelAction action{};
    if (kernel_action(signal, nullptr, &action) && action.handler == reinterpret_cast<std::uintptr_t>(SIG_DFL)) {
      return signal;
    }
  }
  return 0;
}

} // namespace hot_fix
