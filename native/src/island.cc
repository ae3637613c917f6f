// Islands: their pages of code, wherever an address asks for one, and their slots in pages of data near by.
#include "island.h"

#include "arch_x86_64.h"
#include "memory.h"
#include "process.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uintptr_t reach = 0x7fff0000; // of rel32, with room for the length of things
constexpr std::uintptr_t lowest_address = 0x10000;
constexpr std::uintptr_t highest_address = 0x7ffffffff000;
// Distance to the mappings around a hole, so that they may still grow into it (the heap upwards, stacks downwards).
constexpr std::uintptr_t clearance = 16 << 20;
constexpr std::size_t slots_in_page = arch::page_size / sizeof(std::uintptr_t);

struct SlotPage {
  std::uintptr_t start;
  std::size_t used; // slots
};

/** A page of islands that may lie anywhere in reach, filled from its start. */
struct SharedPage {
  std::uintptr_t start;
  std::size_t used; // bytes
};

struct Places {
  List<Island *> islands;
  List<std::uintptr_t> code_pages;
  List<SlotPage> slot_pages;
  List<SharedPage> shared_pages;
  std::uintptr_t stack_low, stack_high; // where the main stack may grow
};

// Constant-initialised, and never destroyed: the worker runs on while the process exits.
union Storage {
  Places of;
  constexpr Storage() : of{} {}
  ~Storage() {}
};
Storage storage;
Places &places() { return storage.of; }

std::uintptr_t distance_between(std::uintptr_t a, std::uintptr_t b) { return a > b ? a - b : b - a; }

/** The hole that allows the place nearest to `from`; `margin` is kept free on both of its sides. */
std::uintptr_t nearest_place(const MemoryMap &map, std::uintptr_t from, std::uintptr_t margin) {
  std::uintptr_t best = 0, best_distance = reach, hole_start = lowest_address;
  for (const Mapping &mapping : map.mappings()) {
    const std::uintptr_t hole_end = mapping.start;
    if (hole_end > hole_start && hole_end - hole_start >= 2 * margin + arch::page_size) {
      const std::uintptr_t low = hole_start + margin, high = hole_end - margin - arch::page_size;
      const std::uintptr_t place = std::clamp(from & ~(arch::page_size - 1), low, high);
      const std::uintptr_t distance = distance_between(place, from);
      if (distance < best_distance) {
        best_distance = distance;
        best = place;
      }
    }
    if (mapping.end > hole_start) hole_start = mapping.end;
  }
  return best;
}

bool map_page(std::uintptr_t start, int protection) {
  void *page = mmap(reinterpret_cast<void *>(start), arch::page_size, protection,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (page == reinterpret_cast<void *>(start)) return true;
  if (page != MAP_FAILED) munmap(page, arch::page_size); // a kernel that does not know NOREPLACE
  return false;
}

/** Maps a page in reach of `from`; 0 when there is no room. */
std::uintptr_t map_page_near(std::uintptr_t from, int protection) {
  constexpr std::uintptr_t margins[] = {clearance, 0};
  for (const std::uintptr_t margin : margins) {
    for (int attempt = 0; attempt < 8; attempt++) { // the program maps memory at the same time
      MemoryMap map;
      if (!map.read()) return 0;
      const std::uintptr_t start = nearest_place(map, from, margin);
      if (start == 0) break;
      if (map_page(start, protection)) return start;
    }
  }
  return 0;
}

/** A slot in reach of `from`, or null. */
std::atomic<std::uintptr_t> *allocate_slot(std::uintptr_t from) {
  SlotPage *page = nullptr;
  for (SlotPage &candidate : places().slot_pages) {
    if (candidate.used < slots_in_page && distance_between(candidate.start, from) < reach) page = &candidate;
  }
  if (page == nullptr) {
    if (!places().slot_pages.reserve(places().slot_pages.size() + 1)) return nullptr;
    const std::uintptr_t start = map_page_near(from, PROT_READ | PROT_WRITE);
    if (start == 0) return nullptr;
    places().slot_pages.add({start, 0});
    page = places().slot_pages.end() - 1;
  }
  return reinterpret_cast<std::atomic<std::uintptr_t> *>(page->start) + page->used++;
}

/** Writes into a page that is never writable where others see it: through /proc/self/mem, else by a short change of
 * its protection (no thread runs in an unused island; the others of the page stay executable). */
bool write_code(std::uintptr_t address, const void *bytes, std::size_t length) {
  const int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (memory >= 0) {
    const ssize_t count = pwrite(memory, bytes, length, static_cast<off_t>(address));
    close(memory);
    if (count == static_cast<ssize_t>(length)) return true;
  }
  const std::uintptr_t start = address & ~(arch::page_size - 1);
  const std::size_t size = (address + length - start + arch::page_size - 1) & ~(arch::page_size - 1);
  if (mprotect(reinterpret_cast<void *>(start), size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return false;
  std::memcpy(reinterpret_cast<void *>(address), bytes, length);
  return mprotect(reinterpret_cast<void *>(start), size, PROT_READ | PROT_EXEC) == 0;
}

/** Writes the island's code into mapped pages. */
Island *build_island(std::uintptr_t address, const Island *shared) {
  if (!places().islands.reserve(places().islands.size() + 1)) return nullptr;
  auto *slot = shared != nullptr ? shared->slot : allocate_slot(address);
  if (slot == nullptr) return nullptr;
  std::uint8_t bytes[arch::island_length];
  arch::encode_island(address, reinterpret_cast<std::uintptr_t>(slot), bytes);
  if (!write_code(address, bytes, sizeof bytes)) return nullptr;
  auto *island = new_record<Island>(); // last: it stays for ever, and a transaction that fails is made again
  if (island == nullptr) return nullptr;
  island->address = address;
  island->slot = slot;
  places().islands.add(island);
  return island;
}

bool is_free(std::uintptr_t address) {
  if (address < lowest_address || address >= highest_address) return false;
  if (address + arch::island_length > places().stack_low && address < places().stack_high) return false;
  return std::none_of(places().islands.begin(), places().islands.end(), [&](const Island *island) {
    return distance_between(island->address, address) < arch::island_length;
  });
}

/** Whether an island at the address can read the slot. */
bool reaches_slot(std::uintptr_t address, const Island &shared) {
  return distance_between(address, reinterpret_cast<std::uintptr_t>(shared.slot)) < reach;
}

/** Whether the page is one of islands, or has become one. */
bool have_code_page(std::uintptr_t start) {
  List<std::uintptr_t> &pages = places().code_pages;
  if (std::find(pages.begin(), pages.end(), start) != pages.end()) return true;
  return pages.reserve(pages.size() + 1) && map_page(start, PROT_READ | PROT_EXEC) && pages.add(start);
}

} // namespace

void look_for_places() {
  MemoryMap map;
  rlimit limit{};
  if (!map.read() || getrlimit(RLIMIT_STACK, &limit) != 0) return;
  constexpr std::uintptr_t least_growth = 64 << 20, most_growth = std::uintptr_t{1} << 30;
  const std::uintptr_t growth = std::clamp<std::uintptr_t>(limit.rlim_cur, least_growth, most_growth);
  for (const Mapping &mapping : map.mappings()) {
    if (std::strcmp(mapping.path, "[stack]") != 0) continue;
    places().stack_low = mapping.start - growth;
    places().stack_high = mapping.end;
  }
}

Island *place_island(std::uintptr_t address, const Island *shared) {
  for (Island *island : places().islands) {
    if (island->address == address) return shared != nullptr && island->slot == shared->slot ? island : nullptr;
  }
  if (!is_free(address) || (shared != nullptr && !reaches_slot(address, *shared))) return nullptr;
  const std::uintptr_t first = address & ~(arch::page_size - 1);
  const std::uintptr_t last = (address + arch::island_length - 1) & ~(arch::page_size - 1);
  if (!have_code_page(first) || !have_code_page(last)) return nullptr;
  return build_island(address, shared);
}

Island *make_island(std::uintptr_t from, const char *symbol, Failure &failure) {
  SharedPage *page = nullptr;
  for (SharedPage &candidate : places().shared_pages) {
    if (candidate.used + arch::island_length > arch::page_size) continue;
    if (arch::in_reach(from, candidate.start + candidate.used)) page = &candidate;
  }
  if (page == nullptr) {
    const std::uintptr_t start =
        places().shared_pages.reserve(places().shared_pages.size() + 1) ? map_page_near(from, PROT_READ | PROT_EXEC) : 0;
    if (start == 0) {
      fail(failure, Code::out_of_reach, 0, symbol, "no free page within 2 GiB of %s", symbol);
      return nullptr;
    }
    places().shared_pages.add({start, 0});
    page = places().shared_pages.end() - 1;
  }
  Island *island = build_island(page->start + page->used, nullptr);
  if (island == nullptr) {
    fail(failure, Code::mprotect_failed, errno, symbol, "the island for %s could not be written (errno %d)", symbol,
         errno);
    return nullptr;
  }
  page->used += arch::island_length;
  return island;
}

} // namespace hot_fix
