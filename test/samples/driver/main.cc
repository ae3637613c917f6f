// Driver of the one-unit test programs: reads a number a line and prints value(number), defined in the unit under
// test. `pid` prints nothing of the unit: it shows that the process still answers. Without <iostream>, which takes
// longer to compile, and to read of every program, than all the rest; the C++ library is loaded all the same, as in
// any program of C++.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

long value(long n);

int main() {
  if (std::get_terminate() == nullptr) return 1;
  char line[256];
  std::puts("ready");
  std::fflush(stdout);
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    if (std::strcmp(line, "pid\n") == 0) {
      std::printf("%d\n", static_cast<int>(getpid()));
    } else {
      std::printf("%ld\n", value(std::atol(line)));
    }
    std::fflush(stdout);
  }
}
