// What can be seen of a process without stopping it: whether the runtime can be brought into it, or why not. First
// of all steps, and all there is to `--look`. Sends nothing, attaches to nothing.
#pragma once

#include "failure.h"
#include "modules.h"

#include <cstdint>

namespace hot_fix {

struct Look {
  int pid = 0;
  std::uint64_t start_time = 0; // as in /proc/PID/stat; tells a pid that is used again
  bool has_runtime = false;     // a worker thread runs in it already
};

/** Everything that speaks against it, in the order in which a user can do something about it. The modules are read
 * on the way. False with the failure: ended, other-user, file-capability, not-dumpable, debugged, stopped,
 * architecture, static, musl, old-libc, seccomp, yama. With `has_runtime` nothing else was asked. */
bool look(int pid, Look &look, Modules &modules, Failure &failure);

/** Says why the kernel denied to trace a process, or to reach its memory, that passed the look at its owner. Always
 * false. */
bool explain_denial(int pid, Failure &failure);

} // namespace hot_fix
