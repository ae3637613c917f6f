// The published sample: a program that makes itself patchable and then calls fix_func for ever. Edit app.cc and
// save, or `make patch` and `kill -USR1 PID`: the loop goes on with the new function, in the same process.
#include "app.h"
#include "hot_fix.h"

#include <chrono>
#include <cstdio>
#include <thread>
#include <unistd.h>

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (init_hot_fix_signal() != 0) return 1;
  std::printf("pid %d\n", getpid());
  for (;;) {
    fix_func();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}
