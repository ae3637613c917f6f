// glibc's heaps, from their first chunk to their last. The size stands before each chunk, with three flags, the lowest of
// which says of the chunk before it that it is in use. One in a thread's cache looks as if it were; a key in its second word
// says that it is not, the same for all chunks since glibc 2.34. Where anything is not as it should be, a heap is left out.
#include "freed_memory.h"

#include "user_code.h"

#include <algorithm>
#include <cstdlib>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uintptr_t chunk_header = 16, smallest_chunk = 32, chunk_flags = 7, before_in_use = 1;
// The first chunk of a heap is such a cache: of glibc since 2.30, and before.
constexpr std::uintptr_t cache_chunks[] = {0x290, 0x250};
// Of other threads: heaps of an own begin at multiples of this, with a pointer to what is behind their header, their size in
// the third word, and the variables of malloc.
constexpr std::uintptr_t heap_alignment = 64 << 20, most_header = 64, most_variables = 4096;
std::uintptr_t cache_key; // 0: not known

bool read_word(std::uintptr_t address, std::uintptr_t &word) {
  return read_memory(address, &word, sizeof word) == sizeof word;
}

bool is_cache(std::uintptr_t length) {
  return std::any_of(cache_chunks, cache_chunks + 2, [length](std::uintptr_t known) { return known == length; });
}

/** The chunks from the first to the last, which is what malloc has not given to anybody. */
bool list_chunks(std::uintptr_t start, std::uintptr_t end, List<FreedMemory::Chunk> &chunks) {
  std::uintptr_t size = 0, next = 0, second = 0;
  for (std::uintptr_t at = start; at < end; at += size & ~chunk_flags) {
    if (!read_word(at + sizeof size, size)) return false;
    const std::uintptr_t length = size & ~chunk_flags;
    const bool is_first = at == start, is_last = at + length == end;
    if (length < smallest_chunk || length % chunk_header != 0 || length > end - at) return false;
    if (is_first && !is_cache(length)) return false;
    if (!is_last && !read_word(at + length + sizeof next, next)) return false;
    if (!read_word(at + chunk_header + sizeof second, second)) return false;
    const bool is_cached = !is_first && cache_key != 0 && second == cache_key;
    if (!chunks.add({at, at + length, is_last || is_cached || (next & before_in_use) == 0})) return false;
  }
  return true;
}

/** Where the chunks of a thread's heap begin, and end; false when it is none. */
bool find_thread_heap(const Mapping &mapping, std::uintptr_t &first, std::uintptr_t &end) {
  std::uintptr_t variables = 0, size = 0, word = 0;
  if (mapping.start % heap_alignment != 0 || mapping.path[0] != '\0' || (mapping.protection & PROT_WRITE) == 0) return false;
  if (!read_word(mapping.start, variables) || variables - mapping.start > most_header) return false;
  if (!read_word(mapping.start + 2 * sizeof size, size) || size > mapping.end - mapping.start) return false;
  end = mapping.start + size;
  for (first = variables; first < variables + most_variables; first += chunk_header) {
    if (!read_word(first + sizeof word, word)) return false;
    if ((word & chunk_flags) == chunk_flags - 2 && is_cache(word & ~chunk_flags)) return true;
  }
  return false;
}

} // namespace

void learn_freed_memory() {
  // The key is written when a chunk is freed, and what this thread has just freed, nobody else has.
  std::uintptr_t keys[2] = {};
  for (std::uintptr_t &key : keys) {
    void *chunk = std::malloc(5 * sizeof key);
    const auto address = reinterpret_cast<std::uintptr_t>(chunk);
    std::free(chunk);
    if (chunk == nullptr || !read_word(address + sizeof key, key)) key = 0;
  }
  cache_key = keys[0] == keys[1] ? keys[0] : 0;
}

void FreedMemory::read(const MemoryMap &map) {
  map_ = &map;
  for (const Mapping &mapping : map.mappings()) {
    const std::size_t before = chunks_.size();
    std::uintptr_t first = mapping.start, end = mapping.end;
    const bool is_thread_heap = find_thread_heap(mapping, first, end);
    if (!is_thread_heap) first = mapping.start, end = mapping.end;
    if (!is_thread_heap && std::strcmp(mapping.path, "[heap]") != 0) continue;
    const bool is_complete = (!is_thread_heap || chunks_.add({mapping.start, first, true})) && list_chunks(first, end, chunks_);
    if (!is_complete) chunks_.shrink(before);
  }
}

const FreedMemory::Chunk *FreedMemory::chunk_at(std::uintptr_t address) const {
  const Chunk *after = std::upper_bound(chunks_.begin(), chunks_.end(), address,
                                        [](std::uintptr_t wanted, const Chunk &chunk) { return wanted < chunk.start; });
  return after != chunks_.begin() && address < (after - 1)->end ? after - 1 : nullptr;
}

bool FreedMemory::holds(std::uintptr_t address, std::uintptr_t word) const {
  const Chunk *chunk = chunk_at(address);
  if (chunk != nullptr) return chunk->is_free;
  // Variables of malloc hold addresses of chunks, which begin in the last word of the one before.
  const Chunk *named = chunk_at(word);
  return named != nullptr && named->start == word && is_part_of_libc(*map_, address);
}

} // namespace hot_fix
