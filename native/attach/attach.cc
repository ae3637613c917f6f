// The steps, as a table of contents.
#include "attach.h"

#include "borrow.h"
#include "clock.h"
#include "library.h"
#include "look.h"
#include "proc_files.h"
#include "ptrace_calls.h"
#include "remote_memory.h"
#include "steps.h"
#include "turn.h"
#include "wait.h"

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace hot_fix {
namespace {

constexpr std::uint64_t stack_size = 256 * 1024;  // of the new thread, besides what thread-local variables take
constexpr unsigned shortest_pause = 200, longest_pause = 5000;

/** Looks for `bytes` in the code of the module; 0: not there. */
std::uint64_t find_code(int pid, const Module &module, long (*find)(const unsigned char *, std::size_t)) {
  const std::size_t length = module.text_end - module.text_start;
  auto *code = static_cast<unsigned char *>(std::malloc(length));
  if (code == nullptr) return 0;
  const std::size_t count = read_remote_some(pid, module.text_start, code, length);
  const long at = find(code, count);
  std::free(code);
  return at >= 0 ? module.text_start + static_cast<std::uint64_t>(at) : 0;
}

/** Everything that is looked up before a thread is stopped. */
bool prepare(int pid, Modules &modules, Errand &errand, Failure &failure) {
  Block &block = errand.block;
  if (!find_entrances(modules, block.entrances, failure)) return false;
  const Module *libc = modules.at(block.entrances.munmap);
  errand.call_gadget = find_code(pid, *libc, arch::find_call_gadget);
  errand.surroundings.restorer = find_code(pid, *libc, arch::find_restorer);
  const Module *allocator = nullptr;
  errand.surroundings.allocator = modules.find("malloc", &allocator);
  if (allocator == libc) errand.surroundings.allocator = 0;
  if (errand.call_gadget == 0 || errand.surroundings.restorer == 0) {
    return fail(failure, Code::old_libc, 0, nullptr, "The C library of process %d has not the code that is needed",
                pid);
  }
  block.stack_size = stack_size + modules.thread_local_size();
  if (block.entrances.create_thread == 0 || block.entrances.set_stack_size == 0) {
    errand.surroundings.without_threads = true;
    std::snprintf(block.threads_library, sizeof block.threads_library, "libpthread.so.0");
    std::snprintf(block.create_thread_name, sizeof block.create_thread_name, "pthread_create");
    std::snprintf(block.set_stack_size_name, sizeof block.set_stack_size_name, "pthread_attr_setstacksize");
  }
  block.created = -1;
  block.descriptor = -1;
  block.mask = ~(std::uint64_t{1} << 31 | std::uint64_t{1} << 32); // but 32 and 33, which glibc needs
  block.pause = {0, 1000000};
  std::snprintf(block.name, sizeof block.name, "hot_fix_attach");
  std::snprintf(block.symbol, sizeof block.symbol, "hot_fix_attach");
  return true;
}

/** The loader fills in its list before the program's first instruction. */
bool wait_for_loader(int pid, Modules &modules, std::uint64_t deadline, Failure &failure) {
  while (!modules.read(pid)) {
    if (kill(pid, 0) != 0) return fail(failure, Code::ended, 0, nullptr, "Process %d has ended", pid);
    if (monotonic_microseconds() > deadline) {
      return fail(failure, Code::no_safe_point, 0, nullptr, "The loader's list of process %d cannot be read", pid);
    }
    pause_microseconds(shortest_pause);
  }
  return true;
}

/** Tries threads, the best first, until one is fit. */
bool borrow_some_thread(Errand &errand, Attachment &attachment, Loan &loan, Failure &failure) {
  tick_while_waiting();
  List<Candidate> candidates;
  unsigned pause = shortest_pause;
  while (monotonic_microseconds() < errand.deadline) {
    if (!rank_threads(errand.pid, candidates)) {
      return fail(failure, Code::ended, 0, nullptr, "Process %d has ended", errand.pid);
    }
    bool tried = false;
    for (Candidate &candidate : candidates) {
      if (candidate.activity == Activity::unfit) continue;
      tried = true;
      candidate.tried++;
      attachment.samples++;
      const Borrowing result = borrow(errand, candidate.tid, candidate.processor, loan, failure);
      if (result != Borrowing::unsafe) return result == Borrowing::done;
      if (monotonic_microseconds() > errand.deadline) break;
    }
    StatFile stat{};
    if (!tried && read_stat(errand.pid, 0, stat) && stat.state == 'T') {
      return fail(failure, Code::stopped, 0, nullptr, "Process %d is stopped", errand.pid);
    }
    pause_microseconds(pause);
    // Longer where nothing is to be had, so that waiting threads are not disturbed all the time.
    if (!tried || pause < longest_pause) pause = pause * 3 / 2 < longest_pause ? pause * 3 / 2 : longest_pause;
  }
  if (loan.tid == 0) {
    return fail(failure, Code::no_safe_point, 0, nullptr,
                "No thread of process %d can be borrowed: all wait for locks or for the kernel",
                errand.pid);
  }
  return fail(failure, Code::no_safe_point, 0, nullptr,
              "No thread of process %d could be borrowed in time; of thread %d, %s",
              errand.pid, loan.tid, loan.reason != nullptr ? loan.reason : "nothing is known");
}

/**
 * Is the process ending? It may refuse and miss things for other reasons than it would alive: its memory goes before it
 * is a zombie. A SIGKILL that was sent counts once the kernel has taken it, which is a matter of microseconds.
 */
bool is_ending(int pid) {
  constexpr unsigned exiting = 0x4; // PF_EXITING
  constexpr int looks = 5;
  for (int look = 0; look < looks; look++) {
    StatFile stat{};
    if (!read_stat(pid, 0, stat) || stat.state == 'Z' || stat.state == 'X' || (stat.flags & exiting) != 0) return true;
    StatusFile status;
    if (!status.read(pid)) return true;
    if ((status.mask("SigPnd") & std::uint64_t{1} << (SIGKILL - 1)) == 0) return false;
    pause_microseconds(longest_pause);
  }
  return false;
}

bool attach_to_living(int pid, const char *library, std::uint64_t longest, Attachment &attachment, Failure &failure) {
  const std::uint64_t begin = monotonic_microseconds();
  attachment.pid = pid;
  Look seen;
  Modules modules;
  Errand errand{pid, {modules, 0, 0, false}, 0, begin + longest, {}};
  Loan loan;
  if (!look(pid, seen, modules, failure)) return false;
  attachment.was_ready = seen.has_runtime;
  if (seen.has_runtime) return true;
  if (!wait_for_loader(pid, modules, errand.deadline, failure)) return false;
  if (!prepare(pid, modules, errand, failure)) return false;
  char path[PATH_MAX];
  library = library_for(modules, errand.block.entrances, library, path);
  if (!choose_library_path(pid, library, errand.block, failure)) return false;
  reached(Step::looked, pid);
  // From here to the next line a thread of the process is stopped.
  if (!borrow_some_thread(errand, attachment, loan, failure)) return false;
  // Only the new thread is ours now.
  attachment.tid = loan.tid;
  attachment.activity = loan.activity;
  attachment.pause = loan.pause;
  const bool loaded = wait_for_runtime(pid, library, loan.mapping, errand.block, errand.deadline, failure);
  attachment.total = monotonic_microseconds() - begin;
  return loaded;
}

} // namespace

bool attach(int pid, const char *library, std::uint64_t longest, Attachment &attachment, Failure &failure) {
  const Turn turn(pid, longest);
  const bool attached = attach_to_living(pid, library, longest, attachment, failure);
  // Also where all was done: what was killed meanwhile may come that far before it ends.
  if (!is_ending(pid)) return attached;
  return fail(failure, Code::ended, 0, nullptr, "Process %d has ended", pid);
}

} // namespace hot_fix
