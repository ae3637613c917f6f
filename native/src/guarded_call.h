// Runs code of the program on a thread of the runtime and comes back whatever that code does: returns, throws, crashes or
// calls abort. What it held when it crashed (a lock) stays held; nothing here can know of it.
#pragma once

namespace hot_fix {

enum class Ending { returned, threw, crashed, ended_thread };

struct CallResult {
  Ending ending;
  int signal;     // that ended it; 0: none
  char what[256]; // the type of the exception, as far as it can be told
};

/** Calls `function(argument)`. Several threads may be in such calls, each in one. */
void guarded_call(void (*function)(void *), void *argument, CallResult &result);

/** Gives up the call that a thread of that number is in, if it is in one: a fatal signal is again what it is in any
 * thread of the program. */
void stop_guarding(int tid);

/** The calling thread ends itself (pthread_exit) in such a call, and does not come back from it. */
void abandon_guarded_call();

/** The name of a signal that ends a call. */
const char *fatal_signal_name(int signal);

/** In a child of fork: of the threads that were in such calls only the one is there that has forked, under another number.
 * A fatal signal ends the child. */
void follow_fork(int forked_by);

} // namespace hot_fix
