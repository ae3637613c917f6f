// Signal dispositions and masks by direct system calls. The runtime's own must not pass through the functions that
// it interposes, and libc's sigaction hides what the kernel has for other libraries. Async-signal-safe.
#pragma once

#include <csignal>
#include <cstdint>

namespace hot_fix {

using SignalBits = std::uint64_t; // bit (signal - 1)

inline constexpr SignalBits signal_bit(int signal) { return SignalBits{1} << (signal - 1); }

/** The kernel's struct sigaction for x86-64 (asm/signal.h); libc's is laid out differently. */
struct KernelAction {
  std::uintptr_t handler; // SIG_DFL, SIG_IGN or an address
  std::uint64_t flags;
  std::uintptr_t restorer;
  SignalBits mask;
};

/** rt_sigaction(2). Either may be null. */
bool kernel_action(int signal, const KernelAction *action, KernelAction *previous);

/** rt_sigprocmask(2); returns 0 or an errno. Either may be null. */
int kernel_mask(int how, const SignalBits *bits, SignalBits *previous);

/** Installs a handler through libc, which knows the way back from it; all three-argument, restarting, on the
 * alternate stack where the thread has one. `previous` (may be null) is the one that it took the place of; its
 * restorer is not told. False with errno set. */
bool install_handler(int signal, void (*handler)(int, siginfo_t *, void *), KernelAction *previous = nullptr,
                     int more_flags = 0);

/** In the handler of a signal: puts back the default action, and has the signal come once more when the handler returns,
 * with what came with it. So the core shows where it was met, and not the handler. */
void leave_to_default(int signal, siginfo_t *info);

/** Whether a signal was sent to the process (kill, sigqueue), so that the kernel chose the thread: siginfo's si_code,
 * sigaction(2). */
bool was_sent_to_process(const siginfo_t &info);

/** In the handler of a signal that was sent to the process: has the kernel choose another thread, or keep the signal for
 * whoever takes it (signalfd, sigwait). The interrupted thread blocks the signal from then on. */
void leave_to_others(int signal, siginfo_t *info, void *context);

/** What came with a signal when it was sent, also with one that was left to others since. */
siginfo_t as_sent(const siginfo_t &info);

/** A real-time signal, from the highest down, that has its default disposition; 0 when there is none. */
int free_realtime_signal();

} // namespace hot_fix
