// The search of writable memory, by chunks of the mappings.
#include "memory_search.h"

#include "arch_x86_64.h"

#include <algorithm>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {

bool search_writable_memory(const MemoryMap &map, std::size_t limit,
                            void (*visit)(void *context, std::uintptr_t at, const std::uintptr_t *words,
                                          std::size_t count),
                            void *context) {
  constexpr std::size_t chunk = 64 * arch::page_size;
  List<std::uintptr_t> words;
  if (!words.reserve(chunk / sizeof(std::uintptr_t))) return false;
  const PagesInUse pages;
  std::size_t searched = 0;
  for (const Mapping &mapping : map.mappings()) {
    if ((mapping.protection & PROT_READ) == 0 || (mapping.protection & PROT_WRITE) == 0) continue;
    if (!pages.can_walk(mapping.end - mapping.start)) return false;
    for (std::uintptr_t at = mapping.start; at < mapping.end;) {
      const PagesInUse::Run run = pages.next(at, mapping.end);
      for (at = run.start; at < run.end;) {
        // Page by page where the kernel has joined our own memory with that of others into one mapping.
        std::size_t length = 0;
        const std::size_t most = std::min(chunk, run.end - at);
        while (length < most && !is_own_memory(at + length)) length += arch::page_size;
        if (length == 0) {
          at += arch::page_size;
          continue;
        }
        const std::size_t read = read_memory(at, words.begin(), length);
        visit(context, at, words.begin(), read / sizeof(std::uintptr_t));
        searched += length;
        if (searched > limit) return false;
        at += length;
      }
    }
  }
  return true;
}

} // namespace hot_fix
