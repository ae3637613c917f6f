// fork handlers. vfork and posix_spawn do not come here: their children share the memory and only exec.
#include "fork.h"

#include "process.h"

#include <atomic>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

// The tid of the thread that holds the gate; 0: it is open. Held for the milliseconds of a transaction or of a fork.
std::atomic<int> gate;
void (*start_in_child)(int forked_by);

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

bool close_gate() {
  const int tid = own_tid();
  if (gate.load() == tid) return false; // nested; or a fork by the worker itself, in code of a patch that it loads
  for (int expected = 0; !gate.compare_exchange_weak(expected, tid); expected = 0) pause_microseconds(50);
  return true;
}

bool closed_by_fork;

void before_fork() { closed_by_fork = close_gate(); }

void after_fork_in_parent() {
  if (closed_by_fork) gate.store(0);
}

void after_fork_in_child() {
  start_in_child(gate.exchange(0));
}

} // namespace

NoFork::NoFork() : is_outermost_(close_gate()) {}
NoFork::~NoFork() {
  if (is_outermost_) gate.store(0);
}

bool is_fork_gate_closed() { return gate.load() != 0; }

bool watch_forks(void (*start_child)(int forked_by)) {
  start_in_child = start_child;
  return pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

} // namespace hot_fix
