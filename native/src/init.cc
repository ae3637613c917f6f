// The public interface (hot_fix.h): starts the runtime once in a process, whichever way it came in, and again in
// each child of fork.
#include "hot_fix.h"

#include "control_directory.h"
#include "crash_report.h"
#include "credentials.h"
#include "doorbell.h"
#include "fork.h"
#include "guarded_call.h"
#include "held_threads.h"
#include "hooks.h"
#include "init.h"
#include "signal_mask.h"
#include "sync_points.h"
#include "threads.h"
#include "trust.h"
#include "worker.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr unsigned child_delay = 20; // milliseconds

WorkerOptions worker_options;
std::atomic<bool> started;

// The signals that a program can spare, beside the real-time ones.
constexpr struct {
  const char *name;
  int number;
} spare_signals[] = {{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"HUP", SIGHUP},     {"URG", SIGURG},
                     {"IO", SIGIO},     {"PWR", SIGPWR},   {"WINCH", SIGWINCH}, {"ALRM", SIGALRM}};

/** The number itself when a program can spare that signal, else 0. */
int spared(long number) {
  if (number >= SIGRTMIN && number <= SIGRTMAX) return static_cast<int>(number);
  for (const auto &known : spare_signals) {
    if (known.number == number) return known.number;
  }
  return 0;
}

/** The signal that the text names: a number, `USR2`, `SIGUSR2`, `RTMIN+3`; 0 when it names none that can be spared. */
int parse_signal(const char *text) {
  if (text == nullptr || text[0] == '\0') return 0;
  if (text[0] >= '0' && text[0] <= '9') return spared(std::strtol(text, nullptr, 10));
  if (std::strncmp(text, "SIG", 3) == 0) text += 3;
  if (std::strncmp(text, "RTMIN+", 6) == 0) return spared(SIGRTMIN + std::atoi(text + 6));
  if (std::strncmp(text, "RTMAX-", 6) == 0) return spared(SIGRTMAX - std::atoi(text + 6));
  for (const auto &known : spare_signals) {
    if (std::strcmp(known.name, text) == 0) return known.number;
  }
  return 0;
}

/** Whether another copy of the runtime runs in the process (preloaded, or in another library): its worker's name
 * tells. A worker does not survive exec, so neither does what this sees. */
bool is_running_already() {
  List<int> threads;
  if (!list_threads(threads)) return false;
  for (const int tid : threads) {
    char name[16];
    thread_name(tid, name);
    if (std::strcmp(name, "hot_fix") == 0) return true;
  }
  return false;
}

/** Passes the call on to the copy that runs: what a plain kill loads is for the program to say. */
bool ask_running_copy(const char *patch) {
  const auto other = reinterpret_cast<decltype(&hot_fix_init)>(dlsym(RTLD_NEXT, "hot_fix_init"));
  const hot_fix_options options{sizeof options, 0, patch};
  return patch == nullptr || other == nullptr || other == hot_fix_init || other(&options) == 0;
}

/** A library that is unloaded would take the worker's code with it. */
void stay_loaded() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void *>(&started), &info) == 0 || info.dli_fname == nullptr) return;
  dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

void start_in_child(int forked_by) {
  follow_fork(forked_by);
  reset_hooks();
  give_up_sync_points();
  reset_doorbell();
  forget_follower();
  reset_held_threads();
  worker_options.delay = child_delay;
  start_worker(worker_options);
}

__attribute__((destructor)) void stop() {
  if (started.load()) stop_worker();
}

} // namespace

bool start_runtime(const StartOptions &wanted) {
  const unsigned waits = wanted.is_from_attacher ? patience_of_attacher : patience;
  const bool has_rights = is_privileged();
  if (has_rights && !wanted.is_from_attacher) {
    errno = EPERM;
    return false;
  }
  const char *patch = secure_getenv("HOT_FIX_PATCH");
  if (patch == nullptr) patch = wanted.patch;
  if (has_rights) patch = nullptr;
  if (started.exchange(true)) {
    if (patch != nullptr) set_default_patch(strdup(patch));
    return wanted.delay != 0 || hurry_worker(waits);
  }
  if (is_running_already()) {
    started.store(false);
    return ask_running_copy(patch);
  }
  const int signal = parse_signal(secure_getenv("HOT_FIX_SIGNAL"));
  link_signal_mask();
  choose_base_directory();
  stay_loaded();
  const int engine_signal = install_doorbell(signal != 0 ? signal : spared(wanted.signal));
  if (engine_signal == 0) {
    errno = EBUSY;
    started.store(false);
    return false;
  }
  if (patch != nullptr) set_default_patch(strdup(patch));
  worker_options = {engine_signal, wanted.delay, waits};
  const bool is_ready = start_worker(worker_options);
  if (!has_worker()) {
    const int error_number = errno;
    remove_doorbell();
    errno = error_number;
    started.store(false);
    return false;
  }
  arm_crash_report();
  static bool is_watching;
  if (!is_watching) is_watching = watch_forks(start_in_child);
  return is_ready;
}

} // namespace hot_fix

extern "C" {

__attribute__((visibility("default"))) int hot_fix_init(const struct hot_fix_options *options) {
  hot_fix::StartOptions wanted{0, "./patch.so", 0, false};
  if (options != nullptr && options->size >= sizeof *options) {
    wanted.signal = options->signal;
    if (options->patch != nullptr) wanted.patch = options->patch;
  }
  return hot_fix::start_runtime(wanted) ? 0 : -1;
}

__attribute__((visibility("default"))) int init_hot_fix_signal(void) { return hot_fix_init(nullptr); }
}
