// The preloadable library's way in: starts the runtime in any program before its main. Only in libhot_fix.so.
#include "init.h"

#include "poison.h"

namespace {

// Long enough that the many short programs that a shell script starts never make a control directory.
constexpr unsigned delay = 20; // milliseconds

__attribute__((constructor)) void start() { hot_fix::start_runtime(0, nullptr, delay); }

} // namespace
