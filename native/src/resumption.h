// The registers with which a thread that is held goes on: worked out by the engine, checked here, and put into the context
// that its handler returns to.
#pragma once

#include "arch_x86_64.h"
#include "crash_document.h"
#include "failure.h"
#include "request.h"

#include <cstdint>

namespace hot_fix {

struct Resumption {
  std::uint32_t changed; // a bit for each of the registers, by its DWARF number
  std::uint64_t registers[arch::last_unwind_register + 1];
  std::uint32_t changed_vectors;
  std::uint64_t vectors[arch::argument_vectors]; // the low halves of the vector registers for arguments and results
};

/** What a request says, when it is a way that the thread can go: its registers are what a return, or a call, leaves.
 * Fails with way-not-offered. */
bool check_resumption(const Request &request, const Crash &crash, Resumption &resumption, Failure &failure);

/** In the handler. */
void apply(const Resumption &resumption, ucontext_t &context);

} // namespace hot_fix
