/* step() of state.cc in C: the same state, with setjmp/longjmp in the place of the exception. */
#include <setjmp.h>
#include <stdio.h>

int global_value = 1000;
static int file_value = 2000;
static __thread int thread_value = 4000;
static int hidden_value = 5000;
static int handled = 0;

static int hidden(int n) {
  hidden_value += n;
  return hidden_value;
}

static void count(int times) { handled += times; }

static void check(int n, jmp_buf out) {
  if (n > 7) longjmp(out, n);
}

void step(int n) {
  static int local_value = 3000;
  const int change = n;
  global_value += change;
  file_value += change;
  local_value += change;
  thread_value += change;
  int from_hidden = hidden(change);

  char caught[32] = "nothing";
  jmp_buf out;
  int thrown = setjmp(out);
  if (thrown == 0) {
    check(n, out);
  } else {
    snprintf(caught, sizeof caught, "too large: %d", thrown);
  }

  const char *kind = "many";
  switch (n) {
    case 0: kind = "zero"; count(1); break;
    case 1: kind = "one"; count(2); break;
    case 2: kind = "two"; count(4); break;
    case 3: kind = "three"; count(8); break;
    case 4: kind = "four"; count(16); break;
    case 5: kind = "five"; count(32); break;
    default: break;
  }

  double scaled = n * 1.25;
  printf("version one: %s global %d static %d local %d thread %d hidden %d handled %d scaled %g caught %s\n", kind,
         global_value, file_value, local_value, thread_value, from_hidden, handled, scaled, caught);
  fflush(stdout);
}
