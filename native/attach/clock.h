// The clock of all deadlines.
#pragma once

#include <cstdint>
#include <ctime>

namespace hot_fix {

/** CLOCK_MONOTONIC in microseconds. */
inline std::uint64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

inline void pause_microseconds(unsigned microseconds) {
  const timespec time{static_cast<time_t>(microseconds / 1000000), static_cast<long>(microseconds % 1000000) * 1000};
  nanosleep(&time, nullptr);
}

} // namespace hot_fix
