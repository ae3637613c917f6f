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
  constexpr std::size_t chunk_pages = 64, page_words = arch::page_size / sizeof(std::uintptr_t);
  List<std::uintptr_t> words;
  if (!words.reserve(chunk_pages * page_words)) return false;
  std::size_t searched = 0;
  for (const Mapping &mapping : map.mappings()) {
    if ((mapping.protection & PROT_READ) == 0 || (mapping.protection & PROT_WRITE) == 0) continue;
    for (std::uintptr_t at = mapping.start; at < mapping.end;) {
      const std::size_t pages = std::min(chunk_pages, (mapping.end - at) / arch::page_size);
      bool used[chunk_pages];
      used_pages(at, pages, used);
      for (std::size_t i = 0; i < pages;) {
        // Page by page where the kernel has joined our own memory with that of others into one mapping.
        std::size_t run = 0;
        while (i + run < pages && used[i + run] && !is_own_memory(at + (i + run) * arch::page_size)) run++;
        if (run == 0) {
          i++;
          continue;
        }
        const std::size_t length = run * arch::page_size;
        const std::size_t read = read_memory(at + i * arch::page_size, words.begin(), length);
        visit(context, at + i * arch::page_size, words.begin(), read / sizeof(std::uintptr_t));
        searched += length;
        if (searched > limit) return false;
        i += run;
      }
      at += pages * arch::page_size;
    }
  }
  return true;
}

} // namespace hot_fix
