/* The same driver in C. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long value(long n);

int main(void) {
  char line[256];
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (strcmp(line, "pid\n") == 0) {
      printf("%d\n", (int)getpid());
    } else {
      printf("%ld\n", value(atol(line)));
    }
    fflush(stdout);
  }
  return 0;
}
