// service [PORT [WORKERS]]: a small stateful server on loopback, the sample program of the demo and of the tests.
#include <cstdlib>

#include "server.h"

int main(int argc, char **argv) {
  int port = argc > 1 ? std::atoi(argv[1]) : 0;
  int workers = argc > 2 ? std::atoi(argv[2]) : 4;
  return server::serve(port, workers);
}
