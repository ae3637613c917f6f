// Starting the runtime, for the ways in which it comes into a process: the public interface and the preloaded
// library.
#pragma once

namespace hot_fix {

/** Starts it unless it runs already. `signal` and `patch` as in struct hot_fix_options; `delay` as in
 * WorkerOptions. */
bool start_runtime(int signal, const char *patch, unsigned delay);

} // namespace hot_fix
