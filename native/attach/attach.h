// From a process and a library to a runtime in that process: the steps of attaching, one call each.
#pragma once

#include "failure.h"

#include <cstdint>

namespace hot_fix {

/** What was done and what it cost, for the result. */
struct Attachment {
  int pid = 0;
  bool was_ready = false;      // the runtime was there already
  int tid = 0;                 // the borrowed thread
  const char *activity = "";   // what it was doing
  std::uint64_t pause = 0;     // of that thread, microseconds
  unsigned samples = 0;        // threads stopped until one was fit
  std::uint64_t total = 0;     // microseconds
};

/** Brings the library into the process within `longest` microseconds. False with the failure; the process is unharmed
 * either way. */
bool attach(int pid, const char *library, std::uint64_t longest, Attachment &attachment, Failure &failure);

} // namespace hot_fix
