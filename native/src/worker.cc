// The worker thread.
#include "worker.h"

#include "arch_x86_64.h"
#include "breakpoint_trap.h"
#include "commands.h"
#include "control_directory.h"
#include "crash_report.h"
#include "credentials.h"
#include "doorbell.h"
#include "fork.h"
#include "held_threads.h"
#include "hooks.h"
#include "kernel_signals.h"
#include "loader_locks.h"
#include "process.h"
#include "processor_sync.h"
#include "reclaim.h"
#include "store_entries.h"
#include "sync_points.h"
#include "threads.h"
#include "trust.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

// What debuggers that hold all other threads use (docs/PROTOCOL.md, section 6): the place where the worker is stopped
// again when it has run alone, or a call in it. Hidden: they find them in .symtab.
extern "C" {
__attribute__((used, noinline)) void hot_fix_served(const char *what) { __asm__ volatile("" ::"r"(what) : "memory"); }
const char *hot_fix_serve();
}

namespace hot_fix {
namespace {

constexpr const char *worker_name = "hot_fix";
constexpr std::size_t stack_size = 1 << 20; // constructors of hand-written patches run on it
constexpr unsigned longest_finish = 3000;   // milliseconds, at the end of the process
constexpr std::uint64_t straightening_patience = 100000; // microseconds

WorkerOptions options;
std::atomic<const char *> default_patch; // null: none
char *stack; // the runtime's own memory; a child of fork takes over that of the worker it does not have
std::uint64_t sequence;
std::atomic<bool> busy, stopping, was_asked_again;
bool is_asleep; // detached from; children of fork are as well
std::atomic<bool> has_directory; // of its own: a crash can leave its last word there
std::atomic<bool> is_announced;
std::atomic<int> announce_error; // errno of the last attempt
sem_t attempted;                 // posted after each attempt to announce it
std::atomic<int> worker_tid;
std::atomic<int> owner_pid; // the process whose worker this is: a child of a raw fork has none

/** False when memory is short, also at a second try: what is in the buffer is no document then. */
bool write_status(Buffer &status) {
  sequence++;
  for (int attempt = 0; attempt < 2; attempt++) {
    status.clear();
    if (!describe_status(sequence, status)) continue;
    write_control_file("status.json", status);
    return true;
  }
  return false;
}

/** No answer is better than half of one: the engine then looks at the process itself. */
void answer(const char *id, const Failure *failure, const Report &report) {
  Buffer status, json;
  if (!write_status(status)) return;
  char name[80];
  std::snprintf(name, sizeof name, "answers/%s.json", id);
  if (describe_answer(id, failure, report, status, json)) write_control_file(name, json);
}

/** Whether this is a child that a patch's constructor forked: the request is its parent's affair. */
bool is_forked_off(int pid) { return pid != getpid(); }

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

/** Says in the control directory who is here. */
bool write_identity(bool asleep) {
  Buffer json;
  errno = ENOMEM;
  return describe_process(options.signal, own_tid(), asleep, json) && write_control_file("process.json", json);
}

/** Asleep, nothing is done but to wake. Engines must know it before they have the answer. */
bool set_asleep(bool asleep, Failure &failure) {
  if (!write_identity(asleep)) {
    return fail(failure, Code::internal, errno, nullptr, "process.json could not be written (errno %d)", errno);
  }
  is_asleep = asleep;
  if (asleep) {
    disarm_crash_report();
  } else {
    arm_crash_report();
  }
  return true;
}

bool execute_unless_asleep(const Request &request, Report &report, Failure &failure) {
  if (is_asleep && request.command != Request::wake) {
    return fail(failure, Code::no_runtime, 0, nullptr, "process %d was detached from", getpid());
  }
  int held = 0;
  if (request.command == Request::detach && is_any_held(held)) {
    return fail(failure, Code::thread_held, 0, nullptr, "thread %d of process %d is held after a crash", held, getpid());
  }
  if (!execute(request, report, failure)) return false;
  if (request.command == Request::detach) return set_asleep(true, failure);
  return request.command != Request::wake || set_asleep(false, failure);
}

void carry_out(const char *id, Request &request) {
  const int pid = getpid();
  Report report;
  Failure failure;
  const std::uint64_t begin = monotonic_microseconds();
  const bool done = execute_unless_asleep(request, report, failure);
  report.timings.total = monotonic_microseconds() - begin;
  if (is_forked_off(pid)) return;
  answer(id, done ? nullptr : &failure, report);
}

/** Carries out all requests there are; false when there was none. */
bool drain_requests() {
  char id[65];
  Buffer text;
  bool any = false;
  while (!stopping.load() && take_request(id, text)) {
    any = true;
    Request request{};
    Failure failure;
    if (parse_request(text, request, failure)) {
      carry_out(id, request);
    } else {
      answer(id, &failure, Report{});
    }
  }
  return any;
}

/** What can wait until the answer is given. */
void tidy_up(Buffer &status) {
  const bool is_straighter = straighten_entries(straightening_patience);
  if (reclaim_patches() || is_straighter) write_status(status);
}

void load_default_patch() {
  const char *path = default_patch.load();
  if (path == nullptr || is_asleep) return;
  Failure failure;
  if (is_privileged()) { // it was not when it started
    fail(failure, Code::untrusted_patch_file, 0, nullptr, "%s is not loaded: the ids of the process differ", path);
    answer("signal", &failure, Report{});
    return;
  }
  // dlopen takes a name without a slash for a library to be searched for.
  char here[4096] = "", absolute[sizeof here + 512];
  if (path[0] != '/' && getcwd(here, sizeof here) == nullptr) here[0] = '\0';
  if (std::strncmp(path, "./", 2) == 0) path += 2;
  std::snprintf(absolute, sizeof absolute, "%s%s%s", here, here[0] != '\0' ? "/" : "", path);
  Request request{};
  request.command = Request::load;
  request.files.add(absolute);
  carry_out("signal", request);
}

/** Makes the control directory with what belongs in it. */
void announce(Buffer &status) {
  Failure failure;
  errno = ESRCH;
  has_directory.store(has_own_proc() && create_control_directory(failure));
  if (has_directory.load() && write_identity(is_asleep)) {
    write_status(status);
    is_announced.store(true);
  } else {
    announce_error.store(errno);
    has_directory.store(false);
    remove_control_directory();
  }
  sem_post(&attempted);
}

/** Milliseconds to wait before it is tried again to make the control directory, where that failed for want of what may be
 * there later, such as room on the disk; else 0. */
unsigned until_next_attempt() {
  constexpr unsigned pause = 5000;
  if (is_announced.load()) return 0;
  switch (announce_error.load()) {
  case ENOSPC:
  case EDQUOT:
  case EIO:
  case EMFILE:
  case ENFILE:
  case ENOMEM:
    return pause;
  default:
    return 0;
  }
}

constexpr const char *served = "The request was carried out; whoever made it knows the result.";
constexpr const char *lock_is_held = "A thread that is held here has a lock of the loader: the request waits until it goes on.";
constexpr const char *program_is_held = "The program has hooks or sync points, which need its threads: the request waits until it goes on.";

/** What a request may need of threads that are held; null: nothing. */
const char *what_it_waits_for() {
  if (may_loader_be_locked() || is_fork_gate_closed()) return lock_is_held;
  return has_hooks() || uses_sync_points() ? program_is_held : nullptr;
}

/** Waits while it may need something of them. */
void wait_for_held_threads() {
  while (is_alone()) {
    const char *reason = what_it_waits_for();
    if (reason == nullptr) return;
    hot_fix_served(reason);
    pause_microseconds(10000);
  }
}

/** A turn of the worker, in a call that a debugger has it make while it waits. */
const char *serve_in_call() {
  if (own_tid() != worker_tid.load()) return "Call this in the thread hot_fix.";
  if (busy.load() || !is_announced.load()) return "The runtime is at work: let the process go on.";
  if (const char *reason = what_it_waits_for()) return reason;
  const int saved = errno;
  busy.store(true);
  const bool any = drain_requests();
  busy.store(false);
  errno = saved;
  return any ? served : "No request waits.";
}

void *run(void *) {
  const int pid = getpid();
  // Again: pthread_setname_np goes through /proc, which may be that of another PID namespace, or not there.
  prctl(PR_SET_NAME, worker_name);
  allow_doorbell_only();
  exempt_thread(own_tid());
  worker_tid.store(own_tid());
  if (options.delay != 0) wait_for_ring(options.delay);
  follow_credentials(); // the control directory is that of the user that the program is to have
  busy.store(true);
  find_loader_locks();
  Buffer status;
  if (!stopping.load()) announce(status);
  sweep_stale_directories();
  Failure failure;
  prepare_synchronization(failure); // asked again, and answered for, by each transaction
  for (;;) {
    look_after_crashes();
    if (!is_announced.load() && was_asked_again.exchange(false)) announce(status);
    wait_for_held_threads();
    const bool any = drain_requests();
    if (is_forked_off(pid)) return nullptr;
    if (any) hot_fix_served(served);
    const bool by_hand = was_rung_by_hand();
    if (!any && by_hand && !stopping.load()) load_default_patch();
    if ((any || by_hand) && !stopping.load()) tidy_up(status);
    busy.store(false);
    const unsigned pause = until_next_attempt(), next_look = look_after_crashes();
    wait_for_ring(pause == 0 || (next_look != 0 && next_look < pause) ? next_look : pause);
    allow_doorbell_only(); // it may have blocked a signal that it left to the program's threads
    follow_credentials();
    if (is_announced.load() && has_changed_user()) {
      is_announced.store(false);
      was_asked_again.store(true);
    }
    if (pause != 0) was_asked_again.store(true);
    busy.store(true);
    if (stopping.load()) break;
  }
  busy.store(false);
  return nullptr;
}

/** Once a program has asked for it to be patchable, it is; else false with errno set. The limit is for a file system
 * that does not answer. Several may wait, of whom an attempt wakes one: each looks again now and then.
 * @param patience seconds */
bool wait_until_announced(unsigned patience) {
  constexpr std::uint64_t look_again = 20'000; // microseconds
  const std::uint64_t until = monotonic_microseconds() + patience * std::uint64_t{1'000'000};
  while (!is_announced.load()) {
    const std::uint64_t now = monotonic_microseconds();
    if (now >= until) {
      errno = ETIMEDOUT;
      return false;
    }
    timespec next{};
    clock_gettime(CLOCK_REALTIME, &next);
    const std::uint64_t nanoseconds = static_cast<std::uint64_t>(next.tv_nsec) + look_again * 1000;
    next.tv_sec += static_cast<time_t>(nanoseconds / 1'000'000'000);
    next.tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000);
    if (sem_timedwait(&attempted, &next) == 0 && !is_announced.load()) {
      errno = announce_error.load();
      return false;
    }
  }
  return true;
}

} // namespace

void set_default_patch(const char *path) { default_patch.store(path); }

bool start_worker(const WorkerOptions &wanted) {
  options = wanted;
  owner_pid.store(0);
  busy.store(false);
  stopping.store(false);
  has_directory.store(false);
  is_announced.store(false);
  was_asked_again.store(false);
  sem_init(&attempted, 0, 0);
  // A patch's constructor that forks is run by the worker, whose stack the child then stands on.
  const char here = 0;
  if (stack == nullptr || (&here >= stack && &here < stack + stack_size)) {
    stack = static_cast<char *>(map_pages(stack_size));
    if (stack == nullptr || mprotect(stack, arch::page_size, PROT_NONE) != 0) return false; // the guard
  }
  SignalBits all = ~SignalBits{0}, before = 0;
  if (kernel_mask(SIG_SETMASK, &all, &before) != 0) return false;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, stack_size);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  begin_following(stack, stack_size);
  const int error_number = pthread_create(&thread, &attributes, run, nullptr);
  const bool started = error_number == 0;
  if (started) {
    begin_following(stack, stack_size);
    pthread_setname_np(thread, worker_name);
    owner_pid.store(getpid());
  }
  pthread_attr_destroy(&attributes);
  kernel_mask(SIG_SETMASK, &before, nullptr);
  if (!started) errno = error_number;
  return started && (options.delay != 0 || wait_until_announced(options.patience));
}

bool has_worker() { return owner_pid.load() == getpid(); }

bool is_worker(int tid) { return has_worker() && worker_tid.load() == tid; }

bool is_attended(int tid) { return has_worker() && has_directory.load() && !stopping.load() && !is_worker(tid); }

bool hurry_worker(unsigned patience) {
  if (is_announced.load()) return true;
  if (!has_worker()) {
    errno = ESRCH;
    return false;
  }
  while (sem_trywait(&attempted) == 0) {
  }
  was_asked_again.store(true);
  ring();
  return wait_until_announced(patience);
}

void stop_worker() {
  if (!has_worker()) return;
  stopping.store(true);
  give_up_sync_points();
  for (unsigned waited = 0; busy.load() && waited < longest_finish; waited++) pause_microseconds(1000);
  remove_control_directory();
}

} // namespace hot_fix

__attribute__((used, noinline)) const char *hot_fix_serve() { return hot_fix::serve_in_call(); }
