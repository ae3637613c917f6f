// Keeps SIGTRAP deliverable: a thread that blocks it and meets an int3 is killed by the kernel, and with it the
// process. Programs block "all signals" in threads that do not want to handle any; they do not mean this one. The
// functions of libc that block signals are defined here in its place, the same but for that. `sigaction` and `signal`
// also let the crash report stand where the program has the default action (crash_report.h).
#include "signal_mask.h"

#include "crash_report.h"
#include "kernel_signals.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <dlfcn.h>
#include <link.h>

#include "poison.h"

// glibc's own name for sigaction.
extern "C" int __sigaction(int signal, const struct sigaction *action, struct sigaction *previous);

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

using SetSignal = sighandler_t (*)(int, sighandler_t);
using SetAction = int (*)(int, const struct sigaction *, struct sigaction *);
std::atomic<SetAction> next_set_action; // libc's, or that of a sanitizer, which stands between
std::atomic<SetSignal> next_set_signal;

SetAction set_action() {
  SetAction found = next_set_action.load();
  if (found != nullptr) return found;
  found = reinterpret_cast<SetAction>(dlsym(RTLD_NEXT, "sigaction"));
  if (found == nullptr) found = __sigaction; // a static program
  next_set_action.store(found);
  return found;
}

bool contains(const dl_phdr_info &info, std::uintptr_t address) {
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type == PT_LOAD && address - info.dlpi_addr - segment.p_vaddr < segment.p_memsz) return true;
  }
  return false;
}

/** Which comes first in the loader's list, which is the order of its search: the runtime, or libc? The address of a
 * function that both have would not tell: it is that of the first, here as anywhere. */
int find_first(dl_phdr_info *info, std::size_t, void *interposed) {
  const bool is_own = contains(*info, reinterpret_cast<std::uintptr_t>(&change_mask));
  *static_cast<bool *>(interposed) = is_own;
  return is_own || contains(*info, reinterpret_cast<std::uintptr_t>(&__sigaction)) ? 1 : 0;
}

} // namespace

void hot_fix::link_signal_mask() {
  set_action();
  next_set_signal.store(reinterpret_cast<SetSignal>(dlsym(RTLD_NEXT, "signal")));
}

bool hot_fix::is_interposed() {
  bool interposed = false;
  dl_iterate_phdr(find_first, &interposed);
  return interposed;
}

extern "C" {

__attribute__((visibility("default"))) int pthread_sigmask(int how, const sigset_t *set, sigset_t *previous) {
  return change_mask(how, set, previous);
}

// Weak, so that a sanitizer's, or the program's own, takes its place.
__attribute__((visibility("default"), weak)) int sigaction(int signal, const struct sigaction *action,
                                                           struct sigaction *previous) {
  struct sigaction filtered {};
  if (action != nullptr) {
    filtered = *action;
    sigdelset(&filtered.sa_mask, SIGTRAP);
    stand_in_for_default(signal, filtered);
  }
  const int result = set_action()(signal, action != nullptr ? &filtered : nullptr, previous);
  if (result == 0 && previous != nullptr) hide_crash_handler(*previous);
  return result;
}

// A handler that has said what it wanted often goes on with signal(SIGSEGV, SIG_DFL) and raises the signal again.
__attribute__((visibility("default"), weak)) sighandler_t signal(int signal, sighandler_t handler) {
  const SetSignal next = next_set_signal.load();
  if (next != nullptr && (!is_crash_signal(signal) || handler == SIG_ERR)) return next(signal, handler);
  struct sigaction action {}, previous {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaddset(&action.sa_mask, signal); // as the BSD form of signal(2) in glibc does
  return sigaction(signal, &action, &previous) == 0 ? previous.sa_handler : SIG_ERR;
}

__attribute__((visibility("default"))) int sigprocmask(int how, const sigset_t *set, sigset_t *previous) {
  const int error_number = change_mask(how, set, previous);
  if (error_number != 0) errno = error_number;
  return error_number == 0 ? 0 : -1;
}
}
