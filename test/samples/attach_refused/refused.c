/* Programs that cannot be attached to, by the reason (first argument). Each prints "ready", answers each line by the
 * same line, and ends with its standard input: that it still does is how it shows that it was not harmed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void limit(int resource, rlim_t value) {
  struct rlimit now;
  getrlimit(resource, &now);
  now.rlim_cur = value;
  setrlimit(resource, &now);
}

/* Every call is allowed: that there is a filter is what counts. */
static void filter_calls(void) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void *load(void *library) {
  if (dlopen(library, RTLD_NOW) == 0) fputs(dlerror(), stderr);
  return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *wait_for_lock(void *unused) {
  pthread_mutex_lock(&lock);
  return unused;
}

/* Standard input without a wait that could be borrowed: at the end everything waits for one lock. */
static void wait_for_locks(void) {
  pthread_t thread;
  pthread_mutex_lock(&lock);
  pthread_create(&thread, 0, wait_for_lock, 0);
  puts("ready");
  fflush(stdout);
  pthread_mutex_lock(&lock);
}

int main(int count, char **arguments) {
  const char *reason = count > 1 ? arguments[1] : "";
  char line[128];
  pthread_t thread;
  if (strcmp(reason, "not-dumpable") == 0) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (strcmp(reason, "seccomp") == 0) filter_calls();
  if (strcmp(reason, "no-memory") == 0) limit(RLIMIT_AS, 1 << 20);
  if (strcmp(reason, "no-thread") == 0) limit(RLIMIT_NPROC, 0);
  if (strcmp(reason, "no-exec") == 0 && prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0) != 0) puts("not on this kernel");
  if (strcmp(reason, "no-safe-point") == 0) wait_for_locks();
  if (strcmp(reason, "late") == 0) pthread_create(&thread, 0, load, arguments[2]);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != 0) {
    fputs(line, stdout);
    fflush(stdout);
  }
  return 0;
}
