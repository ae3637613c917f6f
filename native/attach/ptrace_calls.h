// ptrace(2) on one thread, one function a request. Every failure is a plain false: the thread may end at any time.
#pragma once

#include "arch_x86_64.h"

#include <cstdint>
#include <sys/types.h>

namespace hot_fix {

/** How a thread came to a stop, or that it is gone. */
enum class Stop {
  interrupted, // by us
  call,        // before or behind a system call
  signal,      // about to take a signal
  group,       // the whole process is being stopped
  ended,
  timeout,
};

/** Once, before the first wait: waits look at their deadline at each tick. */
void tick_while_waiting();

/** Attaches without stopping. `denied`: the kernel does not allow it. */
bool seize(int tid, bool &denied);
bool interrupt(int tid);
/** Waits until the thread stops, or until the deadline (CLOCK_MONOTONIC, microseconds). */
Stop wait_for_stop(int tid, std::uint64_t deadline, int &signal);

bool get_registers(int tid, arch::Registers &registers);
bool set_registers(int tid, const arch::Registers &registers);
bool get_context(int tid, arch::ThreadContext &context);
bool set_extended(int tid, const arch::ThreadContext &context);
bool set_signal_mask(int tid, std::uint64_t mask);
/** Whether a signal is on its way to the thread or its process, be it blocked or not. Reads no file. */
bool has_queued_signal(int tid);

bool resume(int tid, int signal);
bool resume_to_call(int tid);
bool detach(int tid, int signal);

/** Whether the thread stands in a restartable sequence (rseq(2)), whose middle it must not come back to. */
bool is_in_restartable_sequence(int tid, int pid, std::uint64_t program_counter);

} // namespace hot_fix
