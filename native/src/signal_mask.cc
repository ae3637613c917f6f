// Keeps SIGTRAP deliverable: a thread that blocks it and meets an int3 is killed by the kernel, and with it the
// process. Programs block "all signals" in threads that do not want to handle any; they do not mean this one. The
// two functions of libc that block signals are defined here in its place, the same but for that.
#include "signal_mask.h"

#include "kernel_signals.h"

#include <cerrno>

#include "poison.h"

namespace {

using namespace hot_fix;

int change_mask(int how, const sigset_t *set, sigset_t *previous) {
  SignalBits bits = 0, before = 0;
  if (set != nullptr) {
    __builtin_memcpy(&bits, set, sizeof bits); // signals 1 to 64 are the first word of a sigset_t
    if (how != SIG_UNBLOCK) bits &= ~signal_bit(SIGTRAP);
    // glibc's rule: its own two signals are never blocked by a program (nptl uses 32 and 33).
    bits &= ~(signal_bit(32) | signal_bit(33));
  }
  const int error_number = kernel_mask(how, set != nullptr ? &bits : nullptr, previous != nullptr ? &before : nullptr);
  if (error_number == 0 && previous != nullptr) {
    sigemptyset(previous);
    __builtin_memcpy(previous, &before, sizeof before);
  }
  return error_number;
}

} // namespace

void hot_fix::link_signal_mask() {}

extern "C" {

__attribute__((visibility("default"))) int pthread_sigmask(int how, const sigset_t *set, sigset_t *previous) {
  return change_mask(how, set, previous);
}

__attribute__((visibility("default"))) int sigprocmask(int how, const sigset_t *set, sigset_t *previous) {
  const int error_number = change_mask(how, set, previous);
  if (error_number != 0) errno = error_number;
  return error_number == 0 ? 0 : -1;
}
}
