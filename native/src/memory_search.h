// A search of everything the process has written: each word of its writable memory, once. It sees what no stack scan
// does, the stacks of coroutines on the heap, alternate signal stacks, saved contexts. Disturbs nobody, and reads no
// page that was never touched.
#pragma once

#include "process.h"

#include <cstddef>
#include <cstdint>

namespace hot_fix {

/** Gives `visit` the words, and their address, of the pages of writable memory in use, but the runtime's own, as far as
 * they can be read. False when memory is short, there are more than `limit` bytes, or too many pages to be walked in time. */
bool search_writable_memory(const MemoryMap &map, std::size_t limit,
                            void (*visit)(void *context, std::uintptr_t at, const std::uintptr_t *words,
                                          std::size_t count),
                            void *context);

} // namespace hot_fix
