// Starting the runtime, for the ways in which it comes into a process: the public interface and the preloaded
// library.
#pragma once

namespace hot_fix {

struct StartOptions {
  int signal;            // as in struct hot_fix_options
  const char *patch;     // what a plain kill loads; null: nothing, unless the environment names it
  unsigned delay;        // as in WorkerOptions
  bool is_from_attacher; // who attached had the right to do anything to the process
};

/** Seconds for which a program waits in its call until it can be patched, and for which an attacher does, who has a thread
 * of its own for that and a limit of its own. */
constexpr unsigned patience = 1, patience_of_attacher = 30;

/** Starts it unless it runs already. A privileged process stays without it (trust.h), unless it was attached to.
 * False with errno set. */
bool start_runtime(const StartOptions &wanted);

} // namespace hot_fix
