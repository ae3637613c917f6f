// The runtime's own memory: pages from mmap, a register of them, and records that are never freed.
#include "memory.h"

#include "arch_x86_64.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "poison.h"

namespace hot_fix {
namespace {

// Under the address sanitizer nobody may touch what lies behind the bytes that were asked for.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t red_zone = 16;
void forbid(void *start, std::size_t size) { ASAN_POISON_MEMORY_REGION(start, size); }
void allow(void *start, std::size_t size) { ASAN_UNPOISON_MEMORY_REGION(start, size); }
#else
constexpr std::size_t red_zone = 0;
void forbid(void *, std::size_t) {}
void allow(void *, std::size_t) {}
#endif

struct Range {
  std::uintptr_t start;
  std::size_t length;
};

// A mapping that finds no place here is only not recognised as ours; the search for references to a patch then
// takes what it holds for the program's, and the patch is kept.
Range own_ranges[512];
std::size_t own_range_count;

constexpr std::size_t record_chunk = 64 * 1024;
char *record_next;
char *record_end;

constexpr std::size_t round_to_pages(std::size_t size) { return (size + arch::page_size - 1) & ~(arch::page_size - 1); }

} // namespace

void *map_pages(std::size_t wanted) {
  const std::size_t size = round_to_pages(wanted);
  void *pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  if (own_range_count < sizeof own_ranges / sizeof *own_ranges) {
    own_ranges[own_range_count++] = {reinterpret_cast<std::uintptr_t>(pages), size};
  }
  forbid(static_cast<char *>(pages) + wanted, size - wanted);
  return pages;
}

void unmap_pages(void *pages, std::size_t size) {
  if (pages == nullptr) return;
  const auto start = reinterpret_cast<std::uintptr_t>(pages);
  for (std::size_t i = 0; i < own_range_count; i++) {
    if (own_ranges[i].start == start) own_ranges[i] = own_ranges[--own_range_count];
  }
  allow(pages, round_to_pages(size));
  munmap(pages, round_to_pages(size));
}

bool is_own_memory(std::uintptr_t address) {
  for (std::size_t i = 0; i < own_range_count; i++) {
    if (address - own_ranges[i].start < own_ranges[i].length) return true;
  }
  return false;
}

void *allocate_record(std::size_t wanted) {
  const std::size_t size = ((wanted + 15) & ~static_cast<std::size_t>(15)) + red_zone;
  if (size > record_chunk) return map_pages(wanted);
  if (static_cast<std::size_t>(record_end - record_next) < size) {
    void *chunk = map_pages(record_chunk);
    if (chunk == nullptr) return nullptr;
    record_next = static_cast<char *>(chunk);
    record_end = record_next + record_chunk;
    forbid(chunk, record_chunk);
  }
  void *record = record_next;
  record_next += size;
  allow(record, wanted);
  return record;
}

const char *keep_text(const char *text) {
  const std::size_t length = std::strlen(text);
  char *copy = static_cast<char *>(allocate_record(length + 1));
  if (copy == nullptr) return "";
  std::memcpy(copy, text, length + 1);
  return copy;
}

bool read_all(int descriptor, Buffer &buffer, std::size_t limit) {
  buffer.clear();
  for (;;) {
    if (buffer.size() > limit || !buffer.reserve(buffer.size() + 4096)) return false;
    const ssize_t count = read(descriptor, buffer.end(), 4095);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    if (count == 0) break;
    buffer.shrink(buffer.size() + static_cast<std::size_t>(count));
  }
  *buffer.end() = '\0';
  return true;
}

bool read_file(const char *path, Buffer &buffer, std::size_t limit) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool complete = read_all(descriptor, buffer, limit);
  close(descriptor);
  return complete;
}

} // namespace hot_fix
