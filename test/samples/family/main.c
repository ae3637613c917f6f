/* The driver that can also fork (the child serves on, the parent only waits, the child outlives it) and run another program in its place,
 * with the runtime preloaded again or without it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long value(long n);

static char *after(char *line, const char *command) {
  size_t length = strlen(command);
  return strncmp(line, command, length) == 0 ? line + length : NULL;
}

static void run(char *program) {
  execl(program, program, (char *)NULL);
  puts("failed");
}

int main(void) {
  char line[4096];
  char *program;
  int is_child = 0;
  signal(SIGCHLD, SIG_IGN);
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "fork") == 0) {
      if (fork() != 0) {
        for (;;) pause();
      }
      is_child = 1;
      printf("%d\n", (int)getpid());
    } else if ((program = after(line, "exec ")) != NULL) {
      run(program);
    } else if ((program = after(line, "exec-plain ")) != NULL) {
      unsetenv("LD_PRELOAD");
      run(program);
    } else {
      printf("%ld\n", value(atol(line)));
    }
    fflush(stdout);
  }
  /* The pipe ends with the process that was started with it. */
  while (is_child) pause();
  return 0;
}
