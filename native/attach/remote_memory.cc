// process_vm_readv(2) and process_vm_writev(2): they need no descriptor, and work where /proc/PID/mem is hidden.
#include "remote_memory.h"

#include <cstdio>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace hot_fix {

std::size_t read_remote_some(int pid, std::uint64_t address, void *to, std::size_t length) {
  const iovec local{to, length};
  const iovec remote{reinterpret_cast<void *>(address), length};
  const ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool read_remote(int pid, std::uint64_t address, void *to, std::size_t length) {
  return read_remote_some(pid, address, to, length) == length;
}

bool write_remote(int pid, std::uint64_t address, const void *from, std::size_t length) {
  const iovec local{const_cast<void *>(from), length};
  const iovec remote{reinterpret_cast<void *>(address), length};
  if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(length)) return true;
  // Since Linux 6.5 that call does not let a stack grow; writes through this file do.
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/mem", pid);
  const int memory = open(path, O_WRONLY | O_CLOEXEC);
  if (memory < 0) return false;
  const ssize_t count = pwrite(memory, from, length, static_cast<off_t>(address));
  close(memory);
  return count == static_cast<ssize_t>(length);
}

bool read_remote_text(int pid, std::uint64_t address, char *text, std::size_t size) {
  std::size_t done = 0;
  while (done + 1 < size) {
    // Never across a page of which nothing is known.
    std::size_t chunk = 4096 - (address + done) % 4096;
    if (chunk > size - 1 - done) chunk = size - 1 - done;
    if (!read_remote(pid, address + done, text + done, chunk)) break;
    for (std::size_t i = 0; i < chunk; i++) {
      if (text[done + i] == '\0') return true;
    }
    done += chunk;
  }
  text[done] = '\0';
  return done > 0;
}

} // namespace hot_fix
