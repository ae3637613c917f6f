// step() is the function under test. Its values are told apart by their ranges: global 1000, file-scope static 2000,
// function-local static 3000, thread_local 4000, anonymous namespace 5000.
#include "state.h"

#include <iostream>
#include <stdexcept>
#include <string>

int global_value = 1000;
static int file_value = 2000;
static thread_local int thread_value = 4000;

namespace {

int hidden_value = 5000;

int hidden(int n) {
  hidden_value += n;
  return hidden_value;
}

}  // namespace

static int handled = 0;

static void count(int times) { handled += times; }

static void check(int n) {
  if (n > 7) throw std::out_of_range("too large: " + std::to_string(n));
}

void step(int n) {
  static int local_value = 3000;
  const int change = n;
  global_value += change;
  file_value += change;
  local_value += change;
  thread_value += change;
  int from_hidden = hidden(change);

  std::string caught = "nothing";
  try {
    check(n);
  } catch (const std::out_of_range &problem) {
    caught = problem.what();
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
  std::cout << "version one: " << kind << " global " << global_value << " static " << file_value << " local "
            << local_value << " thread " << thread_value << " hidden " << from_hidden << " handled " << handled
            << " scaled " << scaled << " caught " << caught << std::endl;
}
