/* The driver of main.cc in C: `main N` and `other N` run step() on one of two long-lived threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void step(int n);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int pending = -1;

static void *other_thread(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (pending < 0) pthread_cond_wait(&changed, &lock);
    step(pending);
    pending = -1;
    pthread_cond_broadcast(&changed);
  }
  return NULL;
}

int main(void) {
  char line[256];
  pthread_t thread;
  if (pthread_create(&thread, NULL, other_thread, NULL) != 0) return 1;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    int number = atoi(strchr(line, ' '));
    if (strncmp(line, "main ", 5) == 0) {
      step(number);
      continue;
    }
    pthread_mutex_lock(&lock);
    pending = number;
    pthread_cond_broadcast(&changed);
    while (pending >= 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
  }
  return 0;
}
