// Keeps the worker's capabilities those of the program. Capabilities, and what becomes of them when the user changes
// (PR_SET_KEEPCAPS), belong to each thread by itself. libc has every thread make the same setuid or setgid and ends the
// process when one of them may not, so a program that has only its first thread and us must be able to count on us.
#pragma once

namespace hot_fix {

/** From now on a change that the first thread of this process makes waits for its worker to make it too. */
void follow_process();

/** The worker says who it is, with its signals still blocked. */
void begin_following();

/** A child of fork has no worker yet. */
void forget_follower();

/** Makes the change that the first thread made, if there is one. By the worker; async-signal-safe. */
void follow_credentials();

} // namespace hot_fix
