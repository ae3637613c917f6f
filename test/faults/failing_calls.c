// Lets one call of the runtime fail: preloaded before it, so that its calls of libc come here first. Which call, and at
// which time it is made, stands in a file that the test shares with the process (FAILING_CALLS names it). Only calls of
// the runtime's own thread count.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// The order is that of CALLS in failing_calls.ts.
enum call {
  c_open, c_openat, c_read, c_pread, c_write, c_pwrite, c_close, c_fstat, c_fstatat, c_stat, c_mkdirat, c_fchmod,
  c_renameat, c_unlinkat, c_readlink, c_lseek, c_mmap, c_mprotect, c_munmap, c_process_vm_readv, c_membarrier,
  c_getdents64, c_rt_sigaction, c_tgkill, c_ioctl, call_count
};

/** The shared file. */
static struct plan {
  int32_t tid;    // of the thread whose calls count
  int32_t call;   // which fails; -1: none
  int32_t nth;    // the first is 1
  int32_t error;  // errno; 0: half of the bytes are read or written
  int32_t failed; // how often it has
  int32_t made[call_count];
} *plan;

__attribute__((constructor)) static void share(void) {
  const char *path = getenv("FAILING_CALLS");
  const int descriptor = path != NULL ? (int)syscall(SYS_open, path, O_RDWR | O_CLOEXEC) : -1;
  if (descriptor < 0) return;
  void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (shared != MAP_FAILED) plan = shared;
  syscall(SYS_close, descriptor);
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }
static int gettid_raw(void) {
  int tid;
  __asm__ volatile("syscall" : "=a"(tid) : "a"(SYS_gettid) : "rcx", "r11", "memory");
  return tid;
}

/** Whether this call is the one. */
static int fails(enum call call) {
  if (plan == NULL || plan->tid != gettid_raw()) return 0;
  if (++plan->made[call] != plan->nth || plan->call != (int)call) return 0;
  plan->failed++;
  errno = plan->error;
  return 1;
}

static mode_t mode_of(int flags, va_list *rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(*rest, mode_t) : 0; }

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, &rest);
  va_end(rest);
  return fails(c_open) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, &rest);
  va_end(rest);
  return fails(c_openat) ? -1 : REAL(openat)(directory, path, flags, mode);
}

int close(int descriptor) {
  const int failed = fails(c_close);
  const int result = REAL(close)(descriptor);
  if (failed) errno = plan->error;
  return failed ? -1 : result;
}

int ioctl(int descriptor, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  return fails(c_ioctl) ? -1 : REAL(ioctl)(descriptor, request, argument);
}

#define TRANSFER(name, pointer, parameters, arguments, half)                                                           \
  ssize_t name parameters {                                                                                            \
    if (!fails(c_##name)) return REAL(name) arguments;                                                                 \
    return plan->error != 0 ? -1 : REAL(name) half;                                                                    \
  }
TRANSFER(read, void *, (int fd, void *to, size_t n), (fd, to, n), (fd, to, n / 2))
TRANSFER(write, const void *, (int fd, const void *from, size_t n), (fd, from, n), (fd, from, n / 2))
TRANSFER(pread, void *, (int fd, void *to, size_t n, off_t at), (fd, to, n, at), (fd, to, n / 2, at))
TRANSFER(pwrite, const void *, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at), (fd, from, n / 2, at))

#define CALL(type, name, failure, parameters, arguments)                                                               \
  type name parameters { return fails(c_##name) ? failure : REAL(name) arguments; }
CALL(int, fstat, -1, (int fd, struct stat *to), (fd, to))
CALL(int, fstatat, -1, (int fd, const char *path, struct stat *to, int flags), (fd, path, to, flags))
CALL(int, stat, -1, (const char *path, struct stat *to), (path, to))
CALL(int, mkdirat, -1, (int fd, const char *path, mode_t mode), (fd, path, mode))
CALL(int, fchmod, -1, (int fd, mode_t mode), (fd, mode))
CALL(int, renameat, -1, (int from, const char *old, int to, const char *new), (from, old, to, new))
CALL(int, unlinkat, -1, (int fd, const char *path, int flags), (fd, path, flags))
CALL(ssize_t, readlink, -1, (const char *path, char *to, size_t n), (path, to, n))
CALL(off_t, lseek, -1, (int fd, off_t at, int whence), (fd, at, whence))
CALL(void *, mmap, MAP_FAILED, (void *at, size_t n, int protection, int flags, int fd, off_t offset),
     (at, n, protection, flags, fd, offset))
CALL(int, mprotect, -1, (void *at, size_t n, int protection), (at, n, protection))
CALL(int, munmap, -1, (void *at, size_t n), (at, n))
CALL(ssize_t, process_vm_readv, -1,
     (pid_t pid, const struct iovec *to, unsigned long m, const struct iovec *from, unsigned long n, unsigned long flags),
     (pid, to, m, from, n, flags))

long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  const int call = number == SYS_membarrier     ? c_membarrier
                   : number == SYS_getdents64   ? c_getdents64
                   : number == SYS_rt_sigaction ? c_rt_sigaction
                   : number == SYS_tgkill       ? c_tgkill
                                                : -1;
  if (call >= 0 && fails((enum call)call)) return -1;
  long result;
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  if (result < 0 && result > -4096) {
    errno = (int)-result;
    return -1;
  }
  return result;
}
