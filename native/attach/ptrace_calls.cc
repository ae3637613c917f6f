// ptrace(2) and waitpid(2). A timer's signal interrupts waits, so that those that take too long end.
#include "ptrace_calls.h"

#include "clock.h"
#include "remote_memory.h"

#include <cerrno>
#include <csignal>
#include <elf.h>
#include <initializer_list>
#include <linux/rseq.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

namespace hot_fix {
namespace {

// Of <linux/ptrace.h>, which does not go together with <sys/ptrace.h>; older C libraries lack both.
constexpr int get_rseq_configuration = 0x420f;
constexpr int peek_signal_information = 0x4209;
struct QueuePlace { // struct ptrace_peeksiginfo_args
  std::uint64_t offset;
  std::uint32_t flags;
  std::int32_t count;
};
struct RseqConfiguration {
  std::uint64_t address;
  std::uint32_t size, signature, flags, padding;
};

template <class A, class D> long call(int request, int tid, A address, D data) {
  return ptrace(static_cast<__ptrace_request>(request), tid, address, data);
}

constexpr suseconds_t tick = 20000; // microseconds

void wake(int) {}

} // namespace

bool seize(int tid, bool &denied) {
  denied = false;
  if (call(PTRACE_SEIZE, tid, 0L, long{PTRACE_O_TRACESYSGOOD}) == 0) return true;
  denied = errno == EPERM || errno == EACCES;
  return false;
}

void tick_while_waiting() {
  struct sigaction action {};
  action.sa_handler = wake; // without SA_RESTART
  sigaction(SIGALRM, &action, nullptr);
  const itimerval timer{{0, tick}, {0, tick}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

bool interrupt(int tid) { return call(PTRACE_INTERRUPT, tid, 0L, 0L) == 0; }

Stop wait_for_stop(int tid, std::uint64_t deadline, int &signal) {
  signal = 0;
  int status = 0;
  pid_t found = 0;
  do {
    found = waitpid(tid, &status, __WALL);
  } while (found < 0 && errno == EINTR && monotonic_microseconds() < deadline);
  if (found < 0) return errno == EINTR ? Stop::timeout : Stop::ended;
  if (!WIFSTOPPED(status)) return Stop::ended;
  signal = WSTOPSIG(status);
  if (status >> 16 == PTRACE_EVENT_STOP) return signal == SIGTRAP ? Stop::interrupted : Stop::group;
  return signal == (SIGTRAP | 0x80) ? Stop::call : Stop::signal;
}

bool get_registers(int tid, arch::Registers &registers) {
  return call(PTRACE_GETREGS, tid, 0L, &registers) == 0;
}

bool set_registers(int tid, const arch::Registers &registers) {
  return call(PTRACE_SETREGS, tid, 0L, &registers) == 0;
}

bool get_context(int tid, arch::ThreadContext &context) {
  iovec extended{context.extended, sizeof context.extended};
  context.extended_length = 0;
  if (!get_registers(tid, context.registers)) return false;
  if (call(PTRACE_GETREGSET, tid, long{NT_X86_XSTATE}, &extended) != 0) return false;
  context.extended_length = extended.iov_len;
  return call(PTRACE_GETSIGMASK, tid, sizeof context.signal_mask, &context.signal_mask) == 0;
}

bool set_extended(int tid, const arch::ThreadContext &context) {
  iovec extended{const_cast<unsigned char *>(context.extended), context.extended_length};
  return call(PTRACE_SETREGSET, tid, long{NT_X86_XSTATE}, &extended) == 0;
}

bool set_signal_mask(int tid, std::uint64_t mask) { return call(PTRACE_SETSIGMASK, tid, sizeof mask, &mask) == 0; }

bool has_queued_signal(int tid) {
  for (const std::uint32_t flags : {std::uint32_t{0}, std::uint32_t{1}}) { // PTRACE_PEEKSIGINFO_SHARED
    siginfo_t information;
    QueuePlace place{0, flags, 1};
    if (call(peek_signal_information, tid, &place, &information) != 0) return true;
  }
  return false;
}

bool resume(int tid, int signal) { return call(PTRACE_CONT, tid, 0L, long{signal}) == 0; }
bool resume_to_call(int tid) { return call(PTRACE_SYSCALL, tid, 0L, 0L) == 0; }
bool detach(int tid, int signal) { return call(PTRACE_DETACH, tid, 0L, long{signal}) == 0; }

bool is_in_restartable_sequence(int tid, int pid, std::uint64_t program_counter) {
  // Since Linux 5.13; before, nothing told a tracer, and glibc did not use them.
  RseqConfiguration configuration{};
  if (call(get_rseq_configuration, tid, sizeof configuration, &configuration) <= 0) return false;
  std::uint64_t descriptor = 0;
  const std::uint64_t field = configuration.address + offsetof(struct rseq, rseq_cs);
  if (configuration.address == 0 || !read_remote(pid, field, descriptor) || descriptor == 0) return false;
  rseq_cs section{};
  if (!read_remote(pid, descriptor, section)) return true;
  return program_counter - section.start_ip < section.post_commit_offset;
}

} // namespace hot_fix
