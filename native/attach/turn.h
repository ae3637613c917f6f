// One attach at a time: a second that came at the same moment would find the first as the process's debugger.
#pragma once

#include <cstdint>

namespace hot_fix {

/** Holds a lock on the process's directory in /proc, which ends with whoever holds it. */
class Turn {
public:
  /**
   * Waits for the attaches that are under way. Anybody may lock that directory: after `longest` microseconds the turn is
   * taken all the same.
   */
  Turn(int pid, std::uint64_t longest);
  ~Turn();
  Turn(const Turn &) = delete;
  Turn &operator=(const Turn &) = delete;

private:
  int directory_;
};

} // namespace hot_fix
