// The last word of a process that crashes (docs/PROTOCOL.md, section 5): where a fatal signal came from, for whoever
// started it or patched it. The runtime's handler stands where the program has none, so the program's own come first;
// the process then ends by the same signal, at the same place, as it would have without it.
#pragma once

#include "failure.h"

#include <csignal>

namespace hot_fix {

/** Puts the handlers where the program has the default action, unless HOT_FIX_CRASH_REPORT is 0 or `off`. */
void arm_crash_report();

/** Takes them back. */
void disarm_crash_report();

/** Whether they are there. */
bool is_crash_report_armed();

/** What the program asks for is the default action of a signal that a crash raises: puts the handler in its place. */
void stand_in_for_default(int signal, struct sigaction &action);

/** The program asks what is in effect: where it is the handler, it is the default action as far as the program knows. */
void hide_crash_handler(struct sigaction &action);

/** Whether a crash raises this signal. */
bool is_crash_signal(int signal);

} // namespace hot_fix
