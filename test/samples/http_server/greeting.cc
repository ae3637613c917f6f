#include <string>

std::string greeting(long count) { return "original " + std::to_string(count) + "\n"; }
