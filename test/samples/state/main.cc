// Runs step() on one of two threads that live as long as the process: `main N` or `other N`, one line of all values
// for each. Deterministic: a command is answered before the next is read.
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "state.h"

static std::mutex lock;
static std::condition_variable changed;
static int pending = -1;

static void other_thread() {
  std::unique_lock<std::mutex> guard(lock);
  for (;;) {
    changed.wait(guard, [] { return pending >= 0; });
    step(pending);
    pending = -1;
    changed.notify_all();
  }
}

int main() {
  std::thread(other_thread).detach();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::size_t space = line.find(' ');
    int number = std::atoi(line.c_str() + space);
    if (line.compare(0, space, "main") == 0) {
      step(number);
      continue;
    }
    std::unique_lock<std::mutex> guard(lock);
    pending = number;
    changed.notify_all();
    changed.wait(guard, [] { return pending < 0; });
  }
  std::quick_exit(0);
}
