// The library's path in the process's mount namespace, or /proc/self/fd.
#include "library.h"

#include "proc_files.h"
#include "remote_memory.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hot_fix {
namespace {

/** May that user read the file? Asked with his rights, which root has to take on for it. */
bool can_read(const char *path, unsigned user, unsigned group) {
  if (geteuid() == user) return access(path, R_OK) == 0;
  const gid_t own_group = getegid();
  const uid_t own_user = geteuid();
  if (setegid(group) != 0 || seteuid(user) != 0) return false;
  const bool readable = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
  return seteuid(own_user) == 0 && setegid(own_group) == 0 && readable;
}

} // namespace

const char *library_for(const Modules &modules, const Entrances &entrances, const char *library, char *buffer) {
  if (!has_old_libc(modules, entrances)) return library;
  const char *slash = std::strrchr(library, '/');
  const char *name = slash != nullptr ? slash + 1 : library;
  std::snprintf(buffer, PATH_MAX, "%.*sold_libc/%s", static_cast<int>(name - library), library, name);
  return access(buffer, R_OK) == 0 ? buffer : library;
}

bool choose_library_path(int pid, const char *library, Block &block, Failure &failure) {
  char real[PATH_MAX], seen[PATH_MAX + 32], line[128];
  struct stat here {}, there {};
  if (realpath(library, real) == nullptr || stat(real, &here) != 0) {
    return fail(failure, Code::file_not_found, errno, nullptr, "%s does not exist", library);
  }
  StatusFile status;
  if (!status.read(pid)) return fail(failure, Code::ended, 0, nullptr, "Process %d has ended", pid);
  status.text("Uid", line, sizeof line);
  char *at = line;
  std::strtoul(at, &at, 10);
  const auto user = static_cast<unsigned>(std::strtoul(at, &at, 10)); // the effective one
  status.text("Gid", line, sizeof line);
  at = line;
  std::strtoul(at, &at, 10);
  const auto group = static_cast<unsigned>(std::strtoul(at, &at, 10));
  std::snprintf(seen, sizeof seen, "/proc/%d/root%s", pid, real);
  const bool same = stat(seen, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  block.use_memory_file = !same || std::strlen(real) >= sizeof block.library || !can_read(real, user, group);
  if (block.use_memory_file == 0) std::snprintf(block.library, sizeof block.library, "%.511s", real);
  return true;
}

bool fill_memory_file(int pid, const char *library, std::uint64_t mapping, int descriptor, Failure &failure) {
  char path[64], name[sizeof Block::library] = "";
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, descriptor);
  const int from = open(library, O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CLOEXEC);
  bool complete = from >= 0 && to >= 0;
  char chunk[65536];
  for (ssize_t count = 1; complete && count > 0;) {
    count = read(from, chunk, sizeof chunk);
    complete = count >= 0 && write(to, chunk, static_cast<std::size_t>(count)) == count;
  }
  const int error_number = errno;
  if (from >= 0) close(from);
  if (to >= 0) close(to);
  // The loader knows its libraries by name: this one is like no other that a program might use.
  std::snprintf(name, sizeof name, "/proc/self/./fd/./%d", descriptor);
  const std::uint32_t filled = 1;
  if (complete && write_remote(pid, mapping + offsetof(Block, library), name, sizeof name) &&
      write_remote(pid, mapping + offsetof(Block, filled), &filled, sizeof filled)) {
    return true;
  }
  return fail(failure, Code::not_loaded, error_number, nullptr,
              "The library could not be handed to process %d (errno %d)", pid,
              error_number);
}

} // namespace hot_fix
