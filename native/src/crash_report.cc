// The last word of a process that crashes. The handler of the crashed thread wakes the worker and waits: the worker is
// an ordinary thread on a stack of its own, so that nothing has to be done on the stack that overflowed, or under a
// lock of malloc that the thread holds. It uses no function of libc that locks or allocates.
#include "crash_report.h"

#include "arch_x86_64.h"
#include "control_directory.h"
#include "doorbell.h"
#include "json.h"
#include "kernel_signals.h"
#include "process.h"
#include "threads.h"
#include "worker.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
constexpr std::uint64_t longest_wait = 3000000; // microseconds; only reached while the worker is kept from its work
constexpr std::size_t most_stack = 256 * 1024;
constexpr std::size_t most_maps = 8 << 20;
// Of a function that crashed before it moved the stack pointer (psABI for x86-64, section 3.2.2, the red zone); and how
// far below its stack a thread may be that has overflowed it.
constexpr std::uintptr_t below_stack = 128, beyond_stack = 64 << 20;

std::atomic<bool> armed;

struct Crash {
  int signal, code, tid;
  std::uintptr_t address;
  const ucontext_t *context; // on the crashed thread's stack, which waits
};
Crash crash;
std::atomic<int> claimed; // a thread has crashed: the first, when several do
enum : std::uint32_t { nothing, wanted, written };
std::atomic<std::uint32_t> state; // a futex word

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

void wait_until_written() {
  const std::uint64_t begin = monotonic_microseconds();
  while (state.load(std::memory_order_acquire) != written && monotonic_microseconds() - begin < longest_wait) {
    const timespec most{0, 100 * 1000 * 1000};
    syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, wanted, &most, nullptr, 0);
  }
}

/** Whether what raised the signal does so again when the handler returns: a fault of an instruction. */
bool comes_again(const siginfo_t &info) {
  if (info.si_code <= 0 || info.si_signo == SIGSYS) return false; // sent by somebody; of a call that is over
  return info.si_signo != SIGBUS || info.si_code != BUS_MCEERR_AO;
}

void handle_crash(int signal, siginfo_t *info, void *context) {
  const int saved = errno;
  const int tid = own_tid();
  if (is_attended(tid)) {
    int nobody = 0;
    if (claimed.compare_exchange_strong(nobody, tid)) {
      const bool is_fault = comes_again(*info);
      crash = {signal, info->si_code, tid, is_fault ? reinterpret_cast<std::uintptr_t>(info->si_addr) : 0,
               static_cast<const ucontext_t *>(context)};
      state.store(wanted, std::memory_order_release);
      ring();
    }
    wait_until_written();
  }
  // The default action from here on: the signal is blocked until this handler returns, and then ends the process.
  const KernelAction none{};
  kernel_action(signal, &none, nullptr);
  if (!comes_again(*info)) syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signal, info);
  errno = saved;
}

bool is_ours(const KernelAction &action) { return action.handler == reinterpret_cast<std::uintptr_t>(&handle_crash); }

bool is_wanted() {
  const char *setting = secure_getenv("HOT_FIX_CRASH_REPORT");
  return setting == nullptr || (std::strcmp(setting, "0") != 0 && std::strcmp(setting, "off") != 0);
}

/** What of the thread's stack is in memory, from its pointer upwards. */
std::uintptr_t stack_start(const MemoryMap &map, std::uintptr_t pointer, std::uintptr_t &end) {
  for (const Mapping &mapping : map.mappings()) {
    if (mapping.end <= pointer || (mapping.protection & PROT_READ) == 0) continue;
    if (mapping.start > pointer + beyond_stack) break;
    end = mapping.end;
    return std::max(mapping.start, pointer > below_stack ? pointer - below_stack : pointer);
  }
  return end = 0;
}

void describe_stack(JsonWriter &json, std::uintptr_t pointer, Buffer &bytes) {
  MemoryMap map;
  std::uintptr_t end = 0;
  const std::uintptr_t start = map.read() ? stack_start(map, pointer, end) : 0;
  const std::size_t wanted_bytes = std::min<std::size_t>(end - start, most_stack);
  const std::size_t count = bytes.reserve(most_stack) ? read_memory(start, bytes.begin(), wanted_bytes) : 0;
  json.begin_object("stack");
  json.address("address", start);
  json.bytes("bytes", reinterpret_cast<const std::uint8_t *>(bytes.begin()), count);
  json.end_object();
}

bool describe_crash(Buffer &buffer) {
  Buffer maps, bytes;
  char name[16];
  thread_name(crash.tid, name);
  JsonWriter json(buffer);
  json.begin_object();
  json.number("protocol", 1);
  json.number("pid", getpid());
  json.number("startTime", static_cast<std::int64_t>(start_time(getpid())));
  json.number("time", static_cast<std::int64_t>(unix_milliseconds()));
  json.number("signal", crash.signal);
  json.number("code", crash.code);
  json.address("address", crash.address);
  json.number("tid", crash.tid);
  json.text("thread", name);
  json.begin_array("registers");
  for (unsigned number = 0; number <= arch::last_unwind_register; number++) {
    json.address(nullptr, arch::dwarf_register(crash.context, number));
  }
  json.end_array();
  describe_stack(json, arch::stack_pointer(crash.context), bytes);
  if (read_file("/proc/self/maps", maps, most_maps)) json.text("maps", maps.begin());
  json.end_object();
  return json.complete();
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

void reset_crash_report() {
  claimed.store(0);
  state.store(nothing);
}

void write_crash_report() {
  if (state.load(std::memory_order_acquire) != wanted) return;
  Buffer json;
  if (describe_crash(json)) write_control_file("crash.json", json);
  state.store(written, std::memory_order_release);
  syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

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
