// Threads that have crashed: what becomes of each (docs/RUNTIME.md, "A thread that is held"). The handler of a crash waits
// here for the verdict of the worker: to crash as it would have without us, or, where somebody attends to it, to be held
// until it is told how to go on. Other threads are not concerned.
#pragma once

#include "crash_document.h"
#include "failure.h"
#include "request.h"

#include <csignal>

namespace hot_fix {

enum class Verdict {
  goes_on,    // with the context as it is now
  crashes,    // nobody has held it
  let_crash,  // it was held: what raised the signal may be mended by now
};

/** In the handler of a crash, on a thread that is not the worker: waits for the verdict. Async-signal-safe. */
Verdict await_verdict(const Crash &crash);

/** On the worker, whenever it wakes: decides on threads that have crashed since, and ends what nobody attends to any more.
 * Writes the last word of the process for the first that is to crash.
 * @returns milliseconds until it is to be called again; 0: when something happens */
unsigned look_after_crashes();

/** Carries out a request to hold threads from now on, or not any more. Fails with cannot-hold. */
bool set_holding(const Request &request, Failure &failure);

/** Carries out a request of how a thread goes on. Fails with not-held, way-not-offered. */
bool resume_thread(const Request &request, Failure &failure);

/** Whether any thread is held: its number is told. */
bool is_any_held(int &tid);

/** In a child of fork, where no thread has crashed yet and nobody attends. */
void reset_held_threads();

} // namespace hot_fix
