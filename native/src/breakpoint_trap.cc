// The SIGTRAP handler and its place in front of the program's own.
#include "breakpoint_trap.h"

#include "arch_x86_64.h"
#include "function_table.h"
#include "kernel_signals.h"

#include <atomic>
#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <ctime>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

std::atomic<std::uint32_t> holding; // a futex word: 1 while threads wait
std::atomic<int> exempt_tid;

// The program's own disposition of SIGTRAP. Written by the worker before any int3 of a transaction; a handler that
// runs at that very moment sees a mixture only if the program replaced one handler by another in between.
struct Previous {
  std::atomic<std::uintptr_t> handler; // 0: SIG_DFL
  std::atomic<std::uint64_t> flags;
  std::atomic<SignalBits> mask;
};
Previous previous;

constexpr int last_signal = 64;

constexpr std::uintptr_t default_handler = 0, ignore_handler = 1; // SIG_DFL, SIG_IGN

void wait_while_held() {
  if (holding.load(std::memory_order_acquire) == 0 || syscall(SYS_gettid) == exempt_tid.load()) return;
  // A child of a raw fork during a transaction has nobody who would release it: hence the limit.
  for (int i = 0; i < 30 && holding.load(std::memory_order_acquire) != 0; i++) {
    const timespec most{0, 100 * 1000 * 1000};
    syscall(SYS_futex, &holding, FUTEX_WAIT_PRIVATE, 1, &most, nullptr, 0);
  }
}

void pass_on(int signal, siginfo_t *info, void *context) {
  const std::uintptr_t handler = previous.handler.load();
  const std::uint64_t flags = previous.flags.load();
  const bool from_processor = info->si_code > 0;
  if (handler == default_handler || (handler == ignore_handler && from_processor)) {
    leave_to_default(signal, info); // what would have happened without us
    return;
  }
  if (handler == ignore_handler) return;
  // The mask ends with this handler: returning from it restores the thread's own. SIGTRAP stays deliverable: the
  // program's handler may call a function whose entry is closed.
  const SignalBits mask = previous.mask.load() & ~signal_bit(SIGTRAP);
  kernel_mask(SIG_BLOCK, &mask, nullptr);
  if ((flags & SA_RESETHAND) != 0) previous.handler.store(default_handler);
  if ((flags & SA_SIGINFO) != 0) {
    reinterpret_cast<void (*)(int, siginfo_t *, void *)>(handler)(signal, info, context);
  } else {
    reinterpret_cast<void (*)(int)>(handler)(signal);
  }
}

HOT_FIX_ACCESSES_CODE bool holds_breakpoint(std::uintptr_t address) {
  return __atomic_load_n(reinterpret_cast<const std::uint8_t *>(address), __ATOMIC_SEQ_CST) == arch::breakpoint;
}

void handle_trap(int signal, siginfo_t *info, void *context) {
  const int saved = errno;
  auto *interrupted = static_cast<ucontext_t *>(context);
  // int3 is a trap: the saved counter points behind it (SDM volume 3, 6.15, interrupt 3). The kernel says SI_KERNEL
  // for it; single steps, branches and watchpoints have codes of their own.
  const std::uintptr_t address = arch::program_counter(interrupted) - 1;
  const Function *function = info->si_code == SI_KERNEL ? find_trampoline(address) : nullptr;
  if (function == nullptr) {
    pass_on(signal, info, context);
    errno = saved;
    return;
  }
  // Back to the entry, where the thread is for everybody who reads its stack while it waits: the signal frame would
  // show it behind the int3, inside the bytes to be replaced.
  arch::set_program_counter(interrupted, address);
  wait_while_held();
  // Once the int3 is gone, whatever stands there now is to be executed; else the entry is being changed, and the
  // thread goes where it will lead.
  if (holds_breakpoint(address)) arch::set_program_counter(interrupted, function->divert_to.load(std::memory_order_acquire));
  errno = saved;
}

void remember(const KernelAction &action) {
  previous.handler.store(action.handler);
  previous.flags.store(action.flags);
  previous.mask.store(action.mask);
}

bool is_same(const KernelAction &a, const KernelAction &b) {
  return a.handler == b.handler && a.flags == b.flags && a.mask == b.mask;
}

/** Takes the trap out of the mask of a signal's handler. The program may install another at this moment: what a store
 * has taken the place of is put back, with the same done to it. */
void clear_trap(int signal, const KernelAction &seen) {
  KernelAction expected = seen, wanted = seen, replaced{};
  wanted.mask &= ~signal_bit(SIGTRAP);
  while (kernel_action(signal, &wanted, &replaced) && !is_same(replaced, expected)) {
    expected = wanted;
    wanted = replaced;
    wanted.mask &= ~signal_bit(SIGTRAP);
  }
}

/** Whether the action is a handler under which SIGTRAP is blocked. */
bool masks_trap(const KernelAction &action) {
  const bool is_handler = action.handler != default_handler && action.handler != ignore_handler;
  return is_handler && (action.mask & signal_bit(SIGTRAP)) != 0;
}

} // namespace

bool claim_breakpoint_trap(Failure &failure) {
  KernelAction action{};
  kernel_action(SIGTRAP, nullptr, &action);
  if (action.handler != reinterpret_cast<std::uintptr_t>(&handle_trap)) {
    remember(action);
    KernelAction replaced{};
    if (!install_handler(SIGTRAP, handle_trap, &replaced, SA_NODEFER)) {
      return fail(failure, Code::internal, errno, nullptr, "the SIGTRAP handler could not be installed (errno %d)",
                  errno);
    }
    if (!is_same(replaced, action)) remember(replaced);
  }
  for (int signal = 1; signal <= last_signal; signal++) {
    if (signal != SIGTRAP && kernel_action(signal, nullptr, &action) && masks_trap(action)) clear_trap(signal, action);
  }
  return true;
}

bool handlers_let_trap() {
  KernelAction action{};
  if (!kernel_action(SIGTRAP, nullptr, &action) || action.handler != reinterpret_cast<std::uintptr_t>(&handle_trap)) {
    return false;
  }
  for (int signal = 1; signal <= last_signal; signal++) {
    if (signal != SIGTRAP && kernel_action(signal, nullptr, &action) && masks_trap(action)) return false;
  }
  return true;
}

void hold_threads() { holding.store(1, std::memory_order_seq_cst); }

void release_threads() {
  holding.store(0, std::memory_order_seq_cst);
  syscall(SYS_futex, &holding, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

void exempt_thread(int tid) { exempt_tid.store(tid); }

} // namespace hot_fix
