// The signals that wake the worker. The handler does nothing but that: loading and patching are the worker's.
#pragma once

namespace hot_fix {

/** Chooses and installs the signals: `wanted`, or for 0 a free real-time signal for the engine, and SIGUSR1 for a
 * plain `kill` while the program leaves that at its default. Returns the engine's signal, 0 when there is none. */
int install_doorbell(int wanted);

/** Gives the signals back, where there will be nobody to hear them. */
void remove_doorbell();

/** The signals of the doorbell, for the worker's mask. */
void allow_doorbell_only();

/** No signal but faults and that one (0: none), for the mask of a thread that runs code of the program. */
void allow_faults_and(int signal);

/** Waits for a ring; at most that many milliseconds, or without a limit for 0. */
void wait_for_ring(unsigned milliseconds);

/** Wakes the worker as a signal does. */
void ring();

/** Whether a plain `kill` rang since the last call. */
bool was_rung_by_hand();

/** The doorbell of a child of fork begins anew. */
void reset_doorbell();

} // namespace hot_fix
