// stat, fstat and fstatat, which glibc before 2.33 has in no library. They are system calls: on x86-64 the kernel's
// structure is the C library's. Hidden, so that no program calls these instead of its own.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN extern "C" __attribute__((visibility("hidden")))

HIDDEN int fstatat(int directory, const char *path, struct stat *status, int flags) noexcept {
  return static_cast<int>(syscall(SYS_newfstatat, directory, path, status, flags));
}

HIDDEN int stat(const char *path, struct stat *status) noexcept { return fstatat(AT_FDCWD, path, status, 0); }

HIDDEN int fstat(int file, struct stat *status) noexcept {
  return static_cast<int>(syscall(SYS_fstat, file, status));
}
