// The function that is fixed while the program runs.
#include "app.h"

#include <cstdio>

void fix_func() {
  for (int times = 0; times < 10; times++) {
    std::printf("before fix cur times %d\n", times);
  }
}
