// The threads of the process, seen from the worker without disturbing them: whether each is blocked, and where;
// how much processor time it has used; which signals it blocks. Sends no signals, stops nobody.
#pragma once

#include "memory.h"

#include <cstdint>

namespace hot_fix {

struct ThreadState {
  enum Kind { gone, running, blocked, stopped } kind;
  // The user-mode program counter and stack pointer. Not of a running thread, and zero where the system hides them
  // (a process that is not dumpable; a kernel without /proc/TID/syscall).
  std::uintptr_t program_counter, stack_pointer;
  long system_call; // the number of the one it sleeps in; -1: none, or not known
};

/** All threads but the calling one. False when /proc cannot be read or memory is short. */
bool list_threads(List<int> &threads);

/** A thread is `blocked` when it sleeps in the kernel: its program counter stays where it is until it wakes; it is
 * `stopped` when a debugger or a stop signal holds it. */
ThreadState thread_state(int tid);

/** Whether the calling thread is the only one that a debugger lets run. */
bool is_alone();

/** Processor time that the thread has used, in microseconds; -1 when it is gone. */
std::int64_t processor_microseconds(int tid);

/** A set of signals of the thread, by its name in /proc/TID/status ("SigBlk:"); false when it is gone. */
bool signal_bits(int tid, const char *name, std::uint64_t &bits);

/** Whether the thread blocks the signal (SigBlk in /proc/TID/status); false when it is gone. */
bool blocks_signal(int tid, int signal);

/** A thread whose sandbox (seccomp) is not the calling thread's: it may forbid what a handler of the runtime calls, and
 * end the thread or the process for it. 0 when there is none, -1 when the threads cannot be listed. */
int find_sandboxed_thread();

/** The name of the thread for messages, at most 15 characters; "?" when it is gone. */
void thread_name(int tid, char (&name)[16]);

/** Whether memory is the stack of a thread that has ended, which libc keeps for the next one: at its top stands a control
 * block without a thread. Said of no other memory, but not of every such stack. */
bool is_left_stack(std::uintptr_t start, std::uintptr_t end);

} // namespace hot_fix
