// Waiting for a word of memory that another thread of the process changes (futex(2)).
#pragma once

#include <atomic>
#include <cstdint>

namespace hot_fix {

/** Sleeps while the word has the value, until CLOCK_MONOTONIC has so many microseconds. False when it has them, and the
 * word still has the value. */
bool wait_while(const std::atomic<std::uint32_t> &word, std::uint32_t value, std::uint64_t deadline);

/** Stores the value and wakes all that wait for it. */
void store_and_wake(std::atomic<std::uint32_t> &word, std::uint32_t value);

/** Wakes all that wait for a change of the word. */
void wake_all(const std::atomic<std::uint32_t> &word);

} // namespace hot_fix
