// Call frames by the unwind records of the modules that the process's loader mapped (.eh_frame_hdr and .eh_frame, LSB
// core specification 10.6; DWARF 4, section 6.4): from a counter and the registers that are known there to its caller.
// Reads memory in which nothing is relied on; what it does not know, it says no to.
#pragma once

#include "arch_x86_64.h"

#include <cstdint>

namespace hot_fix {

/** The program counter, and what registers hold there by their DWARF numbers, as far as it is known. */
struct FrameState {
  std::uintptr_t program_counter;
  std::uintptr_t registers[arch::last_unwind_register + 1];
  std::uint32_t known; // a bit for each register

  bool knows(std::uint64_t number) const { return number < sizeof registers / sizeof *registers && (known >> number & 1) != 0; }
};

enum class FrameStep {
  caller,    // the state is now the caller's, at its return address
  outermost, // the records say that nobody called this code
  unknown,   // no records, a signal frame, or something that needs a register which is not known
};

/** Goes from a frame to its caller.
 * @param is_return whether the counter is a return address, whose call lies before it
 * @param function where the code of the frame begins and ends, by its records; unless unknown */
FrameStep step_frame(FrameState &state, bool is_return, std::uintptr_t (&function)[2]);

} // namespace hot_fix
