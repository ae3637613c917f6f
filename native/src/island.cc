// Islands: pages of them in holes of the memory map, as near below the entries as there is room.
#include "island.h"

#include "arch_x86_64.h"
#include "memory.h"
#include "process.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

struct IslandPage {
  std::uintptr_t start;
  std::size_t used; // bytes
};

IslandPage island_pages[256];
std::size_t island_page_count;

constexpr std::uintptr_t reach = 0x7fff0000; // of rel32, with room for the length of things
constexpr std::uintptr_t lowest_address = 0x10000;
// Distance to the mappings around a hole, so that they may still grow into it (the heap upwards, stacks downwards).
constexpr std::uintptr_t clearance = 16 << 20;

/** The hole that allows the place nearest to `from`; `margin` is kept free on both of its sides. */
std::uintptr_t nearest_place(const MemoryMap &map, std::uintptr_t from, std::uintptr_t margin) {
  std::uintptr_t best = 0, best_distance = reach, hole_start = lowest_address;
  for (const Mapping &mapping : map.mappings()) {
    const std::uintptr_t hole_end = mapping.start;
    if (hole_end > hole_start && hole_end - hole_start >= 2 * margin + arch::page_size) {
      const std::uintptr_t low = hole_start + margin, high = hole_end - margin - arch::page_size;
      const std::uintptr_t place = from < low ? low : from > high ? high : from & ~(arch::page_size - 1);
      const std::uintptr_t distance = place > from ? place - from : from - place;
      if (distance < best_distance) {
        best_distance = distance;
        best = place;
      }
    }
    if (mapping.end > hole_start) hole_start = mapping.end;
  }
  return best;
}

bool map_island_page(std::uintptr_t from, std::uintptr_t &start) {
  constexpr std::uintptr_t margins[] = {clearance, 0};
  for (const std::uintptr_t margin : margins) {
    for (int attempt = 0; attempt < 8; attempt++) { // the program maps memory at the same time
      MemoryMap map;
      if (!map.read()) return false;
      start = nearest_place(map, from, margin);
      if (start == 0) break;
      void *page = mmap(reinterpret_cast<void *>(start), arch::page_size, PROT_READ | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
      if (page == reinterpret_cast<void *>(start)) return true;
      if (page != MAP_FAILED) munmap(page, arch::page_size);
    }
  }
  return false;
}

/** Writes into a page that is never writable where others see it: through /proc/self/mem, else by a short change of
 * its protection (no thread runs in an unused island; the others of the page stay executable). */
bool write_island(std::uintptr_t address, const void *bytes, std::size_t length) {
  const int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (memory >= 0) {
    const ssize_t count = pwrite(memory, bytes, length, static_cast<off_t>(address));
    close(memory);
    if (count == static_cast<ssize_t>(length)) return true;
  }
  void *page = reinterpret_cast<void *>(address & ~(arch::page_size - 1));
  if (mprotect(page, arch::page_size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return false;
  std::memcpy(reinterpret_cast<void *>(address), bytes, length);
  return mprotect(page, arch::page_size, PROT_READ | PROT_EXEC) == 0;
}

} // namespace

bool make_island(std::uintptr_t from, std::uintptr_t target, const char *symbol, std::uintptr_t &island,
                 Failure &failure) {
  IslandPage *page = nullptr;
  for (std::size_t i = 0; i < island_page_count; i++) {
    IslandPage &candidate = island_pages[i];
    if (candidate.used + arch::island_length > arch::page_size) continue;
    if (arch::in_reach(from, candidate.start + candidate.used)) page = &candidate;
  }
  if (page == nullptr) {
    std::uintptr_t start = 0;
    if (island_page_count == sizeof island_pages / sizeof *island_pages || !map_island_page(from, start)) {
      return fail(failure, Code::out_of_reach, 0, symbol, "no free page within 2 GiB of %s", symbol);
    }
    page = &island_pages[island_page_count++];
    *page = {start, 0};
  }
  unsigned char bytes[arch::island_length];
  std::memcpy(bytes, arch::island_code, sizeof arch::island_code);
  std::memcpy(bytes + sizeof arch::island_code, &target, sizeof target);
  if (!write_island(page->start + page->used, bytes, sizeof bytes)) {
    return fail(failure, Code::mprotect_failed, errno, symbol, "the island for %s could not be written (errno %d)",
                symbol, errno);
  }
  island = page->start + page->used;
  page->used += sizeof bytes;
  return true;
}

} // namespace hot_fix
