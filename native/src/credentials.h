// Keeps the worker's capabilities those of the program. Capabilities, and what becomes of them when the user changes
// (PR_SET_KEEPCAPS), belong to each thread by itself. libc has every thread make the same setuid or setgid and ends the
// process when they do not all succeed or all fail, so a program that has only its first thread and us must be able to
// count on us.
#pragma once

#include <cstddef>

namespace hot_fix {

/** From now on each such call finds the worker, which is known by its stack, with the capabilities of the first thread.
 * Before the worker is started, because libc's signals reach a thread before it can do anything; and behind that once
 * more, because libc has no handler for its signal before the first thread that is created. */
void begin_following(const char *stack, std::size_t size);

/** A child of fork has no worker yet. */
void forget_follower();

/** By the worker, when it is awake: gives up what the first thread no longer has. */
void follow_credentials();

} // namespace hot_fix
