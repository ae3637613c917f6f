// The ways in of the library that is loaded from outside: its constructor, before main or in a process that runs
// already, and the call that hot_fix_attach makes after it. Only in libhot_fix.so.
#include "init.h"
#include "worker.h"

#include "poison.h"

namespace {

// Long enough that the many short programs that a shell script starts never make a control directory.
constexpr unsigned delay = 20; // milliseconds

__attribute__((constructor)) void start() { hot_fix::start_runtime({0, nullptr, delay, false}); }

} // namespace

/** Called by whoever attached, on a thread of its own: returns when the process can be patched. 0, or -1. */
extern "C" __attribute__((visibility("default"))) int hot_fix_attach(void) {
  if (!hot_fix::start_runtime({0, nullptr, 0, true})) return -1;
  return hot_fix::hurry_worker(hot_fix::patience_of_attacher) ? 0 : -1;
}
