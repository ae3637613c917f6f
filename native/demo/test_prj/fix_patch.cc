// A hand-written patch: the new function, and the table that tells the runtime what it replaces.
#include "app.h"
#include "hot_fix.h"

#include <cstdio>

void new_fix_func() {
  static bool announced = false;
  if (!announced) {
    announced = true;
    std::printf("after  fix_func addr %p\n", reinterpret_cast<void *>(&new_fix_func));
    std::printf("load new fix function\n");
  }
  for (int times = 0; times < 3; times++) {
    std::printf("after fix cur times %d\n", times);
  }
}

FIXTABLE fix_table = {reinterpret_cast<void *>(&new_fix_func), reinterpret_cast<void *>(&fix_func)};
