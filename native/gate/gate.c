/* libhot_fix_gate.so: what is preloaded into the programs of a terminal. It loads the runtime into those whose file
 * lies in a folder that it was told, and does nothing in all others: compilers, shells, tools, nearly all of them. So
 * it costs next to nothing and starts anywhere: it needs no library, no version of one, and makes one system call.
 *
 *   HOT_FIX_GATE=RUNTIME:FOLDER[:FOLDER...]   absolute paths; the folders without symbolic links
 *
 * It must not allocate: programs' own allocators and sanitizers come up after it. */

#include <linux/limits.h>
#include <sys/syscall.h>

#define RTLD_NOW 2
#define RTLD_DLOPEN 0x80000000u /* as glibc passes it to __libc_dlopen_mode */

/* Weak, because dlopen(3) is in libc since glibc 2.34 only. Before, most programs do not have it; libc has another for
 * itself. */
extern void *dlopen(const char *, int) __attribute__((weak));
extern void *__libc_dlopen_mode(const char *, int) __attribute__((weak));

static long system_call(long number, long first, long second, long third, long fourth, long fifth) {
  long result;
  register long r10 __asm__("r10") = fourth;
  register long r8 __asm__("r8") = fifth;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}

/* --- which programs get the runtime ------------------------------------------------------------------------------ */

/* How far two texts agree, up to the end of either or a colon. */
static long common(const char *text, const char *other) {
  long i = 0;
  while (text[i] != 0 && text[i] != ':' && text[i] == other[i]) i++;
  return i;
}

static const char *behind_colon(const char *at) {
  while (*at != 0 && *at != ':') at++;
  return *at == 0 ? 0 : at + 1;
}

static const char *value_of(const char *name, char **environment) {
  for (; *environment != 0; environment++) {
    const long length = common(name, *environment);
    if (name[length] == 0) return *environment + length;
  }
  return 0;
}

/* Whether one of the folders is above the file. What lies under node_modules belongs to packages. */
static int is_inside(const char *folders, const char *file) {
  static const char packages[] = "/node_modules/";
  for (; folders != 0; folders = behind_colon(folders)) {
    const long length = common(folders, file);
    if (length == 0 || (folders[length] != 0 && folders[length] != ':') || file[length] != '/') continue;
    const char *at = file + length;
    while (*at != 0 && packages[common(packages, at)] != 0) at++;
    return *at == 0;
  }
  return 0;
}

__attribute__((constructor)) static void pass_or_stop(int count, char **arguments, char **environment) {
  (void)count, (void)arguments;
  const char *runtime = environment != 0 ? value_of("HOT_FIX_GATE=", environment) : 0;
  const char *folders = runtime != 0 ? behind_colon(runtime) : 0;
  if (folders == 0 || folders - runtime > PATH_MAX) return;
  char path[PATH_MAX + 1];
  const long length = system_call(SYS_readlink, (long)"/proc/self/exe", (long)path, PATH_MAX, 0, 0);
  if (length <= 0 || length == PATH_MAX) return;
  path[length] = 0;
  if (!is_inside(folders, path)) return;
  long i = 0;
  for (; runtime + i + 1 < folders; i++) path[i] = runtime[i];
  path[i] = 0;
  if (dlopen != 0) {
    dlopen(path, RTLD_NOW);
  } else if (__libc_dlopen_mode != 0) {
    __libc_dlopen_mode(path, (int)(RTLD_NOW | RTLD_DLOPEN));
  }
}
