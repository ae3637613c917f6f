/* Programs to attach to, by what their threads do (first argument). Each answers a line with a number by value() of
 * it, the line "bad" by the count of everything that went wrong so far (interrupted calls, sleeps that ended early,
 * changed registers, memory that was not as it was left), and ends with its standard input. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

long value(long n);
extern char **environ;

static atomic_long bad;

static void wrong(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  atomic_fetch_add(&bad, 1);
}

/* Answers what has come. Returns 0 at the end of the input. */
static int answer(void) {
  static char line[128];
  static size_t length;
  for (;;) {
    ssize_t count = read(0, line + length, sizeof line - 1 - length);
    if (count < 0 && errno == EAGAIN) return 1;
    if (count < 0) wrong("read");
    if (count <= 0) return count < 0;
    line[length += count] = 0;
    for (char *end; (end = strchr(line, '\n')) != 0;) {
      *end = 0;
      if (strcmp(line, "bad") == 0) printf("%ld\n", atomic_load(&bad));
      else printf("%ld\n", value(atol(line)));
      length -= end + 1 - line;
      memmove(line, end + 1, length + 1);
    }
    fflush(stdout);
    return 1;
  }
}

static void never_wait_for_input(void) { fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK); }

static void start(void *(*run)(void *), size_t stack_size) {
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  if (stack_size != 0) pthread_attr_setstacksize(&attributes, stack_size);
  if (pthread_create(&thread, &attributes, run, 0) != 0) wrong("pthread_create");
}

/* --- threads that wait ------------------------------------------------------------------------------------ */

static void in_read(void) {
  while (answer()) {}
}

static void in_poll(int timeout) {
  struct pollfd input = {0, POLLIN, 0};
  for (;;) {
    int count = poll(&input, 1, timeout);
    if (count < 0) wrong("poll");
    if (count > 0 && !answer()) return;
  }
}

static void in_epoll(int timeout) {
  struct epoll_event event = {.events = EPOLLIN};
  int set = epoll_create1(0);
  epoll_ctl(set, EPOLL_CTL_ADD, 0, &event);
  for (;;) {
    int count = epoll_wait(set, &event, 1, timeout);
    if (count < 0) wrong("epoll_wait");
    if (count > 0 && !answer()) return;
  }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int over;

static void *wait_for_end(void *unused) {
  pthread_mutex_lock(&lock);
  while (!over) {
    if (pthread_cond_wait(&changed, &lock) != 0) wrong("pthread_cond_wait");
  }
  pthread_mutex_unlock(&lock);
  return unused;
}

static void *read_to_end(void *unused) {
  in_read();
  pthread_mutex_lock(&lock);
  over = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  return unused;
}

static void in_futex(size_t stack_size) {
  for (int i = 0; i < 4; i++) start(wait_for_end, stack_size);
  start(read_to_end, stack_size);
  wait_for_end(0);
}

static void in_sleep(void) {
  never_wait_for_input();
  do {
    struct timespec before, after, time = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    if (nanosleep(&time, 0) != 0) wrong("nanosleep");
    clock_gettime(CLOCK_MONOTONIC, &after);
    if ((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec < 20000000) wrong("slept too little");
  } while (answer());
}

/* --- threads that work ------------------------------------------------------------------------------------ */

/* Fills registers, computes for a while, and looks whether they hold what they held: general ones, the red zone,
 * vectors, flags. */
static void compute(void) {
  long broken;
  __asm__ volatile("mov $0x1111, %%rbx\n mov $0x2222, %%rcx\n mov $0x3333, %%rdx\n mov $0x4444, %%rsi\n"
                   "mov $0x5555, %%rdi\n mov $0x6666, %%r8\n mov $0x7777, %%r9\n mov $0x8888, %%r10\n"
                   "mov $0x9999, %%r11\n mov $0xaaaa, %%r12\n mov $0xbbbb, %%r13\n mov $0xcccc, %%r14\n"
                   "movq $0x1234, -8(%%rsp)\n movq $0x5678, -128(%%rsp)\n"
                   "movq %%rbx, %%xmm0\n movq %%rcx, %%xmm1\n movq %%rdx, %%xmm7\n movq %%rsi, %%xmm15\n"
                   "mov $20000, %%rax\n stc\n"
                   "1: dec %%rax\n jnz 1b\n" /* dec leaves the carry flag alone */
                   "jnc 2f\n"
                   "cmp $0x1111, %%rbx\n jne 2f\n cmp $0x2222, %%rcx\n jne 2f\n cmp $0x3333, %%rdx\n jne 2f\n"
                   "cmp $0x4444, %%rsi\n jne 2f\n cmp $0x5555, %%rdi\n jne 2f\n cmp $0x6666, %%r8\n jne 2f\n"
                   "cmp $0x7777, %%r9\n jne 2f\n cmp $0x8888, %%r10\n jne 2f\n cmp $0x9999, %%r11\n jne 2f\n"
                   "cmp $0xaaaa, %%r12\n jne 2f\n cmp $0xbbbb, %%r13\n jne 2f\n cmp $0xcccc, %%r14\n jne 2f\n"
                   "cmpq $0x1234, -8(%%rsp)\n jne 2f\n cmpq $0x5678, -128(%%rsp)\n jne 2f\n"
                   "movq %%xmm0, %%rax\n cmp $0x1111, %%rax\n jne 2f\n movq %%xmm1, %%rax\n cmp $0x2222, %%rax\n jne 2f\n"
                   "movq %%xmm7, %%rax\n cmp $0x3333, %%rax\n jne 2f\n movq %%xmm15, %%rax\n cmp $0x4444, %%rax\n jne 2f\n"
                   "xor %%eax, %%eax\n jmp 3f\n"
                   "2: mov $1, %%eax\n 3:\n"
                   : "=a"(broken)
                   :
                   : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "xmm0", "xmm1",
                     "xmm7", "xmm15", "cc", "memory");
  if (broken) wrong("registers changed");
}

static void *compute_always(void *unused) {
  for (;;) compute();
  return unused;
}

static void *allocate_always(void *unused) {
  static atomic_uint seeds;
  unsigned seed = atomic_fetch_add(&seeds, 1) + 1;
  unsigned char *blocks[64] = {0};
  size_t sizes[64] = {0};
  setpriority(PRIO_PROCESS, syscall(SYS_gettid), 10); /* this thread only: the test has other work to do */
  for (long i = 0; unused == 0 || i < 2000; i++) {
    seed = seed * 1103515245 + 12345;
    int at = seed >> 16 & 63;
    for (size_t k = 0; k < sizes[at]; k++) {
      if (blocks[at][k] != (unsigned char)at) wrong("memory changed");
    }
    free(blocks[at]);
    sizes[at] = seed % 3000;
    blocks[at] = malloc(sizes[at]);
    memset(blocks[at], at, sizes[at]);
  }
  for (int at = 0; at < 64; at++) free(blocks[at]);
  return unused;
}

static void allocating(void) {
  never_wait_for_input();
  for (int i = 0; i < 7; i++) start(allocate_always, 0);
  do allocate_always("for a while");
  while (answer());
}

static void computing(void) {
  never_wait_for_input();
  start(compute_always, 0);
  do for (int i = 0; i < 1000; i++) compute();
  while (answer());
}

static void *load_always(void *unused) {
  do {
    void *library = dlopen("libutil.so.1", RTLD_NOW), *other = dlopen("libanl.so.1", RTLD_NOW);
    if (library == 0 || other == 0) wrong("dlopen");
    else dlclose(other), dlclose(library);
  } while (unused == 0);
  return unused;
}

static void loading(void) {
  never_wait_for_input();
  start(load_always, 0);
  do load_always("once");
  while (answer());
}

static void spawning(int forked) {
  never_wait_for_input();
  char *arguments[] = {"true", 0};
  do {
    pid_t child;
    int status;
    if (forked) {
      child = vfork();
      if (child == 0) {
        execv("/bin/true", arguments);
        _exit(9);
      }
      if (child < 0) wrong("vfork");
    } else if (posix_spawn(&child, "/bin/true", 0, 0, arguments, environ) != 0) {
      wrong("posix_spawn");
      continue;
    }
    if (waitpid(child, &status, 0) != child) wrong("waitpid");
    else if (status != 0) wrong("the child failed");
  } while (answer());
}

static atomic_long ticks;
static void tick(int signal) { (void)signal, atomic_fetch_add(&ticks, 1); }

static void signalled(void) {
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  struct itimerval timer = {{0, 1000}, {0, 1000}};
  sigaction(SIGALRM, &action, 0);
  setitimer(ITIMER_REAL, &timer, 0);
  in_read();
}

static void masked(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, 0);
  in_read();
  sigset_t now;
  sigprocmask(SIG_SETMASK, 0, &now);
  if (!sigismember(&now, SIGURG)) wrong("the signal mask changed");
}

int main(int count, char **arguments) {
  const char *kind = count > 1 ? arguments[1] : "read";
  puts("ready");
  fflush(stdout);
  if (strcmp(kind, "read") == 0) in_read();
  else if (strcmp(kind, "poll") == 0) in_poll(-1);
  else if (strcmp(kind, "poll-timeout") == 0) in_poll(100);
  else if (strcmp(kind, "epoll") == 0) in_epoll(-1);
  else if (strcmp(kind, "futex") == 0) in_futex(0);
  else if (strcmp(kind, "small-stacks") == 0) in_futex(16384);
  else if (strcmp(kind, "sleep") == 0) in_sleep();
  else if (strcmp(kind, "allocate") == 0) allocating();
  else if (strcmp(kind, "load") == 0) loading();
  else if (strcmp(kind, "compute") == 0) computing();
  else if (strcmp(kind, "vfork") == 0) spawning(1);
  else if (strcmp(kind, "spawn") == 0) spawning(0);
  else if (strcmp(kind, "signals") == 0) signalled();
  else if (strcmp(kind, "masked") == 0) masked();
  else return 64;
  printf("ended with %ld\n", atomic_load(&bad));
  return atomic_load(&bad) != 0;
}
