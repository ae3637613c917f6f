// Runs code of the program on the worker and comes back whatever that code does: returns, throws, crashes or calls
// abort. What it held when it crashed (a lock) stays held; nothing here can know of it.
#pragma once

namespace hot_fix {

enum class Ending { returned, threw, crashed };

struct CallResult {
  Ending ending;
  int signal;     // that ended it; 0: none
  char what[256]; // the type of the exception, as far as it can be told
};

/** Calls `function(argument)`. Only the worker calls it, one call at a time. */
void guarded_call(void (*function)(void *), void *argument, CallResult &result);

} // namespace hot_fix
