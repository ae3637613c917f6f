// The doorbell: a semaphore and the signal handler that posts it.
//
// The engine aims its signal at the worker's tid, so no system call of another thread ends early. Its signal is a
// real-time one, because programs install a SIGUSR1 handler of their own at any time, also after us; the plain
// `kill -USR1 PID` of the published scheme works as long as they do not.
#include "doorbell.h"

#include "kernel_signals.h"

#include <atomic>
#include <cerrno>
#include <ctime>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

sem_t rings;
std::atomic<bool> by_hand;
int engine_signal, plain_signal;

void handle_doorbell(int, siginfo_t *info, void *) {
  const int saved = errno;
  // SI_TKILL is the engine (or the program's own pthread_kill); SI_USER and SI_QUEUE are kill(1) and sigqueue.
  if (info->si_code == SI_USER || info->si_code == SI_QUEUE) by_hand.store(true);
  sem_post(&rings);
  errno = saved;
}

bool is_default(int signal) {
  KernelAction action{};
  return kernel_action(signal, nullptr, &action) && action.handler == reinterpret_cast<std::uintptr_t>(SIG_DFL);
}

} // namespace

int install_doorbell(int wanted) {
  sem_init(&rings, 0, 0);
  if (wanted != 0 && is_default(wanted)) {
    if (!install_handler(wanted, handle_doorbell)) return 0;
    engine_signal = plain_signal = wanted;
    return engine_signal;
  }
  engine_signal = free_realtime_signal();
  if (engine_signal == 0 || !install_handler(engine_signal, handle_doorbell)) return 0;
  plain_signal = is_default(SIGUSR1) && install_handler(SIGUSR1, handle_doorbell) ? SIGUSR1 : engine_signal;
  return engine_signal;
}

void remove_doorbell() {
  const KernelAction none{};
  const int signals[] = {engine_signal, plain_signal};
  for (const int signal : signals) {
    KernelAction action{};
    if (!kernel_action(signal, nullptr, &action)) continue;
    if (action.handler == reinterpret_cast<std::uintptr_t>(&handle_doorbell)) kernel_action(signal, &none, nullptr);
  }
}

namespace {

/** At once: between two masks the thread could take a signal that is pending for the process. */
void block_all_but(SignalBits allowed) {
  SignalBits mask = ~allowed;
  // Faults of this thread's own, in a patch's constructor say, go where the program wants them.
  constexpr int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  for (const int fault : faults) mask &= ~signal_bit(fault);
  // glibc's own (cancellation, setuid in all threads) must get through: signals 32 and 33.
  mask &= ~(signal_bit(32) | signal_bit(33));
  kernel_mask(SIG_SETMASK, &mask, nullptr);
}

} // namespace

// No instruction raises SIGABRT, and abort() lets it through itself: what is left is sent to the program.
void allow_doorbell_only() { block_all_but(signal_bit(engine_signal) | signal_bit(plain_signal)); }

void allow_faults_and(int signal) { block_all_but(signal_bit(SIGABRT) | (signal != 0 ? signal_bit(signal) : 0)); }

void wait_for_ring(unsigned milliseconds) {
  if (milliseconds == 0) {
    while (sem_wait(&rings) != 0 && errno == EINTR) {
    }
  } else {
    timespec until{};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += static_cast<long>(milliseconds) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (sem_timedwait(&rings, &until) != 0 && errno == EINTR) {
    }
  }
  // Every wake drains all requests, so the rings up to now are one.
  while (sem_trywait(&rings) == 0) {
  }
}

void ring() { sem_post(&rings); }

bool was_rung_by_hand() { return by_hand.exchange(false); }

void reset_doorbell() {
  sem_init(&rings, 0, 0);
  by_hand.store(false);
}

} // namespace hot_fix
