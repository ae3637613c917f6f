// fork: a child of the process gets a runtime of its own, with the patches it inherited. A child never begins in
// the middle of a transaction.
#pragma once

namespace hot_fix {

/** While one of these exists, fork waits (in every thread but the worker). They may be nested. */
class NoFork {
public:
  NoFork();
  NoFork(const NoFork &) = delete;
  NoFork &operator=(const NoFork &) = delete;
  ~NoFork();

private:
  bool is_outermost_;
};

/** Whether a thread is about to fork, or a NoFork exists. */
bool is_fork_gate_closed();

/** Registers for fork; `start_child` is called in each child, with the number that the thread which forked has in the parent.
 * Once per process image. */
bool watch_forks(void (*start_child)(int forked_by));

} // namespace hot_fix
