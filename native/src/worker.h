// The worker thread: waits for the doorbell, takes requests, has them carried out, writes answers and status.
// Everything that the runtime does to the process happens on it.
#pragma once

namespace hot_fix {

struct WorkerOptions {
  int signal;                // of the engine
  unsigned delay;            // milliseconds before the control directory is made: most children of a preloaded
                             // program run for less, and never need one
  unsigned patience;         // seconds for which the caller waits, without a delay, until the worker has announced itself
};

/** Says what a plain kill loads; null: nothing. To be kept by the caller. */
void set_default_patch(const char *path);

/** Starts the worker of this process, with all signals blocked from its first instruction. Without a delay it has
 * announced itself then; false with errno set when it could not, or when there is no thread (has_worker). */
bool start_worker(const WorkerOptions &options);

/** Whether this process has a worker. */
bool has_worker();

/** Whether that thread is the worker of this process. Async-signal-safe. */
bool is_worker(int tid);

/** Whether the worker of this process has a control directory and is not that thread. Async-signal-safe. */
bool is_attended(int tid);

/** Ends the delay with which the worker was started, or has it try again, and waits until it has announced itself.
 * False with errno set when it did not.
 * @param patience seconds */
bool hurry_worker(unsigned patience);

/** At the process's normal end: lets a transaction finish, and removes the control directory. */
void stop_worker();

} // namespace hot_fix
