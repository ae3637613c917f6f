// Driver of the one-unit test programs: reads a number a line and prints value(number), defined in the unit under
// test. `pid` prints nothing of the unit: it shows that the process still answers.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

long value(long n);

int main() {
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "pid") {
      std::cout << getpid() << std::endl;
    } else {
      std::cout << value(std::atol(line.c_str())) << std::endl;
    }
  }
}
