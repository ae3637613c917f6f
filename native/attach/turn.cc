#include "turn.h"

#include "clock.h"

#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace hot_fix {

Turn::Turn(int pid, std::uint64_t longest) {
  constexpr unsigned pause = 1000;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d", pid);
  directory_ = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_ < 0) return;
  const std::uint64_t deadline = monotonic_microseconds() + longest;
  while (flock(directory_, LOCK_EX | LOCK_NB) != 0 && monotonic_microseconds() < deadline) pause_microseconds(pause);
}

Turn::~Turn() {
  if (directory_ >= 0) close(directory_);
}

} // namespace hot_fix
