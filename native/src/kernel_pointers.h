// Words that the program has given to the kernel, which gives them back some time: of descriptors in epoll instances, and
// of timers. No search of memory finds them.
#pragma once

#include <cstdint>

namespace hot_fix {

/** Gives `visit` each of them, and what has it. False when /proc does not say. */
bool visit_kernel_pointers(void (*visit)(void *context, std::uintptr_t word, const char *what), void *context);

} // namespace hot_fix
