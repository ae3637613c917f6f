// The public interface (hot_fix.h): starts the runtime once in a process, whichever way it came in, and again in
// each child of fork.
#include "hot_fix.h"

#include "control_directory.h"
#include "doorbell.h"
#include "fork.h"
#include "init.h"
#include "memory.h"
#include "signal_mask.h"
#include "threads.h"
#include "worker.h"

#include <atomic>
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

/** The signal that the text names: a number, `USR2`, `SIGUSR2`, `RTMIN+3`; 0 when it names none. */
int parse_signal(const char *text) {
  if (text == nullptr || text[0] == '\0') return 0;
  if (text[0] >= '0' && text[0] <= '9') {
    const int number = std::atoi(text);
    return number > 0 && number <= SIGRTMAX ? number : 0;
  }
  if (std::strncmp(text, "SIG", 3) == 0) text += 3;
  if (std::strncmp(text, "RTMIN+", 6) == 0) return SIGRTMIN + std::atoi(text + 6);
  if (std::strncmp(text, "RTMAX-", 6) == 0) return SIGRTMAX - std::atoi(text + 6);
  // Those that a program can spare.
  static constexpr struct {
    const char *name;
    int number;
  } spare[] = {{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"HUP", SIGHUP},     {"URG", SIGURG},
               {"IO", SIGIO},     {"PWR", SIGPWR},   {"WINCH", SIGWINCH}, {"ALRM", SIGALRM}};
  for (const auto &known : spare) {
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

/** A library that is unloaded would take the worker's code with it. */
void stay_loaded() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void *>(&started), &info) == 0 || info.dli_fname == nullptr) return;
  dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

void start_in_child() {
  reset_doorbell();
  worker_options.delay = child_delay;
  start_worker(worker_options);
}

__attribute__((destructor)) void stop() {
  if (started.load()) stop_worker();
}

} // namespace

bool start_runtime(int signal, const char *patch, unsigned delay) {
  if (started.exchange(true)) return true;
  if (is_running_already()) {
    started.store(false);
    return true;
  }
  const int wanted = parse_signal(secure_getenv("HOT_FIX_SIGNAL"));
  const char *default_patch = secure_getenv("HOT_FIX_PATCH");
  if (default_patch == nullptr) default_patch = patch != nullptr ? patch : "./patch.so";
  link_signal_mask();
  choose_base_directory();
  stay_loaded();
  const int engine_signal = install_doorbell(wanted != 0 ? wanted : signal);
  if (engine_signal == 0) return false;
  worker_options = {engine_signal, keep_text(default_patch), delay};
  return start_worker(worker_options) && watch_forks(start_in_child);
}

} // namespace hot_fix

extern "C" {

__attribute__((visibility("default"))) int hot_fix_init(const struct hot_fix_options *options) {
  int signal = 0;
  const char *patch = nullptr;
  if (options != nullptr && options->size >= sizeof *options) {
    signal = options->signal;
    patch = options->patch;
  }
  return hot_fix::start_runtime(signal, patch, 0) ? 0 : -1;
}

__attribute__((visibility("default"))) int init_hot_fix_signal(void) { return hot_fix_init(nullptr); }
}
