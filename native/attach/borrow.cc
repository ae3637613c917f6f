// Order matters everywhere here. What a thread needs to come back by itself is written before its registers are
// changed, its signal mask is changed after them, and both are put back in the opposite order.
#include "borrow.h"

#include "clock.h"
#include "look.h"
#include "ptrace_calls.h"
#include "remote_memory.h"
#include "steps.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" const unsigned char hot_fix_stub_begin[], hot_fix_stub_thread[], hot_fix_stub_mark[], hot_fix_stub_end[];

namespace hot_fix {
namespace {

// The mapping: block, code, the frame that puts the thread back, the stub's own stack.
constexpr std::uint64_t code_offset = arch::page_bytes;
constexpr std::uint64_t frame_offset = 2 * arch::page_bytes;
constexpr std::uint64_t stack_offset = frame_offset + 5 * arch::page_bytes;
constexpr std::uint64_t mapping_length = stack_offset + 64 * 1024;
static_assert(sizeof(Block) <= code_offset);
static_assert(arch::most_frame_bytes <= stack_offset - frame_offset);

constexpr std::uint64_t longest_stop = 500000; // microseconds for a thread to come out of what it does for us

/** All signals but the end mark's. Faults are not blocked by this: the kernel delivers those anyhow. */
constexpr std::uint64_t stub_mask = ~(std::uint64_t{1} << (SIGURG - 1));

/** One borrowed thread, between its stop and its release. */
class Borrower {
public:
  Borrower(Errand &errand, int tid, Loan &loan, Failure &failure)
      : errand_(errand), tid_(tid), loan_(loan), failure_(failure) {}

  Borrowing run();

private:
  bool stop();
  bool settle_call();
  void let_go();
  bool prepare_call();
  bool call(long number, const std::uint64_t (&arguments)[6], std::int64_t &result);
  bool map();
  bool write_mapping();
  bool run_stub();
  bool has_created_thread();
  void unmap();
  bool settle();
  bool restore();
  bool lost(const char *what);

  Errand &errand_;
  const int tid_;
  Loan &loan_;
  Failure &failure_;
  arch::ThreadContext context_{};
  std::uint64_t frame_ = 0; // on the thread's own stack
  std::uint64_t mapping_ = 0;
  arch::Registers interrupted_{};
  bool makes_again_ = false; // the call that our stop has ended
  // Where the thread is: only in a stop on its way to a signal does the kernel look for a call to restart.
  enum class At { signal, call, running, gone } at_ = At::running;
};

bool Borrower::lost(const char *what) {
  at_ = At::gone;
  return fail(failure_, Code::ended, 0, nullptr, "Thread %d of process %d ended %s", tid_, errand_.pid, what);
}

/** Stops the thread. A signal that comes first is let through: it is not ours. */
bool Borrower::stop() {
  if (!interrupt(tid_)) return lost("before it was stopped");
  for (;;) {
    int signal = 0;
    switch (wait_for_stop(tid_, errand_.deadline, signal)) {
    case Stop::interrupted:
      at_ = At::signal;
      return true;
    case Stop::signal:
      resume(tid_, signal);
      break;
    case Stop::call:
      resume(tid_, 0);
      break;
    case Stop::group:
      detach(tid_, 0);
      return fail(failure_, Code::stopped, 0, nullptr, "Process %d is stopped", errand_.pid);
    case Stop::ended:
      return lost("before it was stopped");
    case Stop::timeout:
      return fail(failure_, Code::no_safe_point, 0, nullptr, "Thread %d of process %d does not answer", tid_,
                  errand_.pid);
    }
  }
}

/**
 * A wait that the kernel does not make again, as epoll_wait, has ended with EINTR on our account: the thread makes it again
 * from now on, whatever becomes of this program. With a signal on its way EINTR may be the truth, and stays for now.
 */
bool Borrower::settle_call() {
  if (!get_registers(tid_, interrupted_)) return lost("before it was borrowed");
  if (!is_lost_wait(interrupted_) || has_queued_signal(tid_)) return true;
  makes_again_ = set_registers(tid_, arch::made_again(interrupted_));
  return makes_again_ || lost("before it was borrowed");
}

/** The thread is not fit: it goes on. */
void Borrower::let_go() {
  if (makes_again_ && has_pending_signal(errand_.pid, tid_)) set_registers(tid_, context_.registers);
  detach(tid_, 0);
}

/** The frame below the red zone, to which a call through the gadget returns when nobody is there to take over. */
bool Borrower::prepare_call() {
  alignas(64) static unsigned char frame[arch::most_frame_bytes];
  const std::uint64_t end = arch::stack_pointer(context_.registers) - arch::red_zone;
  frame_ = (end - arch::frame_length(context_)) & ~std::uint64_t{63};
  const std::size_t length = arch::build_frame(context_, frame_, errand_.surroundings.restorer, frame);
  return write_remote(errand_.pid, frame_, frame, length);
}

/** One system call by the thread; it stands behind it afterwards. */
bool Borrower::call(long number, const std::uint64_t (&arguments)[6], std::int64_t &result) {
  if (!set_registers(tid_, arch::calling(context_.registers, errand_.call_gadget, frame_, number, arguments)) ||
      !set_signal_mask(tid_, stub_mask)) {
    return lost("while it was borrowed");
  }
  for (int stops = 0; stops < 2;) { // before the call and behind it
    reached(Step::called, errand_.pid);
    int signal = 0;
    if (!resume_to_call(tid_)) return lost("while it was borrowed");
    at_ = At::running;
    const Stop stop = wait_for_stop(tid_, errand_.deadline, signal);
    if (stop == Stop::ended) return lost("while it was borrowed");
    if (stop == Stop::timeout) return fail(failure_, Code::late, 0, nullptr, "Thread %d did not come back in time",
                                           tid_);
    at_ = stop == Stop::call ? At::call : At::signal;
    if (stop == Stop::call) stops++;
  }
  arch::Registers registers;
  if (!get_registers(tid_, registers)) return lost("while it was borrowed");
  result = arch::call_result(registers);
  return true;
}

bool Borrower::map() {
  std::int64_t result = 0;
  const std::uint64_t arguments[] = {
      0, mapping_length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~std::uint64_t{0}, 0};
  if (!call(SYS_mmap, arguments, result)) return false;
  if (result < 0 && result > -4096) {
    const int error_number = static_cast<int>(-result);
    const bool denied = error_number == EACCES || error_number == EPERM;
    return fail(failure_, denied ? Code::no_exec : Code::no_memory, error_number, nullptr,
                "Process %d %s (errno %d)", errand_.pid,
                denied ? "may not make memory executable" : "gets no more memory", error_number);
  }
  mapping_ = static_cast<std::uint64_t>(result);
  return true;
}

bool Borrower::write_mapping() {
  alignas(64) static unsigned char frame[arch::most_frame_bytes];
  const std::uint64_t code = mapping_ + code_offset, frame_at = mapping_ + frame_offset;
  Block &block = errand_.block;
  block.mapping = mapping_;
  block.mapping_length = mapping_length;
  block.start = code + static_cast<std::uint64_t>(hot_fix_stub_thread - hot_fix_stub_begin);
  block.frame = frame_at + arch::frame_entry;
  const std::size_t length = arch::build_frame(context_, frame_at, errand_.surroundings.restorer, frame);
  const auto code_length = static_cast<std::size_t>(hot_fix_stub_end - hot_fix_stub_begin);
  return write_remote(errand_.pid, mapping_, &block, sizeof block) &&
         write_remote(errand_.pid, code, hot_fix_stub_begin, code_length) &&
         write_remote(errand_.pid, frame_at, frame, length);
}

/** Runs the stub up to its end mark: the stop before SIGURG is taken, with the program counter at the mark. */
bool Borrower::run_stub() {
  const std::uint64_t code = mapping_ + code_offset;
  const auto entering = arch::entering_stub(context_.registers, code, mapping_ + mapping_length, mapping_);
  if (!set_registers(tid_, entering) || !resume(tid_, 0)) return lost("while it was borrowed");
  at_ = At::running;
  reached(Step::entered, errand_.pid);
  const std::uint64_t mark = code + static_cast<std::uint64_t>(hot_fix_stub_mark - hot_fix_stub_begin);
  bool foreign = false; // a SIGURG of somebody else's
  for (;;) {
    int signal = 0;
    const Stop stop = wait_for_stop(tid_, errand_.deadline, signal);
    if (stop == Stop::ended) return lost("while it was borrowed");
    // Only a lock that nobody gives back explains it. Its wait can be left at any time.
    if (stop == Stop::timeout) {
      return fail(failure_, Code::late, 0, nullptr, "pthread_create did not return in process %d", errand_.pid);
    }
    at_ = At::signal;
    arch::Registers registers;
    if (!get_registers(tid_, registers)) return lost("while it was borrowed");
    if (stop == Stop::signal && signal != SIGURG) {
      return fail(failure_, Code::no_thread, 0, nullptr, "pthread_create failed in process %d with signal %d",
                  errand_.pid,
                  signal);
    }
    if (stop == Stop::signal && arch::program_counter(registers) == mark) {
      if (foreign) kill(errand_.pid, SIGURG);
      return true;
    }
    foreign = foreign || stop == Stop::signal;
    if (!resume(tid_, 0)) return lost("while it was borrowed");
    at_ = At::running;
  }
}

/** Brings the thread into a stop in which the kernel looks at its registers for a call to restart. */
bool Borrower::settle() {
  if (at_ == At::gone) return false;
  if (at_ == At::signal) return true;
  if (!interrupt(tid_) || (at_ == At::call && !resume(tid_, 0))) return false;
  for (;;) {
    int signal = 0;
    const Stop stop = wait_for_stop(tid_, monotonic_microseconds() + longest_stop, signal);
    if (stop == Stop::interrupted || (stop == Stop::signal && signal == SIGURG)) break;
    if (stop == Stop::ended || stop == Stop::timeout || !resume(tid_, 0)) return false;
  }
  at_ = At::signal;
  return true;
}

bool Borrower::has_created_thread() {
  std::int32_t created = -1;
  if (read_remote(errand_.pid, mapping_ + offsetof(Block, created), created) && created == 0) return true;
  if (created == ELIBACC) {
    return fail(failure_, Code::old_libc, 0, nullptr, "The loader of process %d does not find libpthread.so.0",
                errand_.pid);
  }
  return fail(failure_, Code::no_thread, created, nullptr, "Process %d cannot start a thread (errno %d)", errand_.pid,
              created);
}

/** Nobody is in the mapping: the thread stands at its end mark, and there is no other. */
void Borrower::unmap() {
  const std::uint64_t arguments[] = {mapping_, mapping_length, 0, 0, 0, 0};
  std::int64_t unused = 0;
  call(SYS_munmap, arguments, unused);
}

/** As it was. A call that would have returned EINTR on our account is made again, unless a signal has come. */
bool Borrower::restore() {
  arch::Registers registers = context_.registers;
  if (arch::interrupted_call(registers) == arch::Interrupted::lost && !has_pending_signal(errand_.pid, tid_)) {
    registers = arch::made_again(registers);
  }
  const bool complete =
      set_extended(tid_, context_) && set_signal_mask(tid_, context_.signal_mask) && set_registers(tid_, registers);
  reached(Step::restored, errand_.pid);
  return detach(tid_, 0) && complete;
}

Borrowing Borrower::run() {
  bool denied = false;
  if (!seize(tid_, denied)) {
    if (denied) return explain_denial(errand_.pid, failure_) ? Borrowing::unsafe : Borrowing::failed;
    loan_.reason = "it has ended";
    return Borrowing::unsafe;
  }
  reached(Step::seized, errand_.pid);
  if (!stop()) return Borrowing::failed;
  // Until then it ran, or waited for its turn on a processor as it would have without us.
  const std::uint64_t begin = monotonic_microseconds();
  reached(Step::stopped, errand_.pid);
  if (!settle_call()) return Borrowing::failed;
  reached(Step::settled, errand_.pid);
  if (!get_context(tid_, context_)) {
    lost("before it was borrowed");
    return Borrowing::failed;
  }
  if (makes_again_) context_.registers = interrupted_;
  const SafePoint point = examine(errand_.pid, tid_, context_.registers, errand_.surroundings);
  loan_.tid = tid_;
  loan_.reason = point.reason;
  loan_.activity = activity_name(point.activity);
  // Its own dlopen must not be called inside of another.
  const bool loads = errand_.surroundings.without_threads && errand_.surroundings.modules.is_changing();
  if (loads) loan_.reason = "the loader is at work";
  if (loads || point.activity == Activity::unfit || !prepare_call()) {
    let_go();
    return Borrowing::unsafe;
  }
  bool done = map();
  reached(Step::mapped, errand_.pid);
  if (done) {
    done = write_mapping();
    reached(Step::written, errand_.pid);
    done = done && run_stub();
  }
  reached(Step::finished, errand_.pid);
  if (done && !has_created_thread()) {
    done = false;
    unmap();
  }
  if (settle()) restore();
  loan_.pause = monotonic_microseconds() - begin;
  loan_.mapping = mapping_;
  return done ? Borrowing::done : Borrowing::failed;
}

/** On the thread's own processor, the helper is scheduled the moment the thread stops: 30 µs instead of 6 ms. */
void run_on(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(processor), &one);
  sched_setaffinity(0, sizeof one, &one);
}

} // namespace

Borrowing borrow(Errand &errand, int tid, int processor, Loan &loan, Failure &failure) {
  cpu_set_t before;
  const bool known = sched_getaffinity(0, sizeof before, &before) == 0;
  run_on(processor);
  failure.code = Code::internal;
  const Borrowing result = Borrower(errand, tid, loan, failure).run();
  if (known) sched_setaffinity(0, sizeof before, &before);
  return result;
}

} // namespace hot_fix
