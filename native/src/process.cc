// What the process can see of itself. Reads /proc/self and the clocks only.
#include "process.h"

#include "arch_x86_64.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {

bool MemoryMap::read() {
  mappings_.clear();
  // Memory that grows while the map is read is in it, at a place that it has left: then the map is read again.
  for (bool has_moved = true; has_moved;) {
    const char *text = text_.begin();
    const Mapping *mappings = mappings_.begin();
    if (!read_file("/proc/self/maps", text_, 64 << 20)) return false;
    if (!mappings_.reserve(static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '\n')))) return false;
    has_moved = text_.begin() != text || mappings_.begin() != mappings;
  }
  // proc(5): start-end perms offset dev inode [path]
  for (char *line = text_.begin(); *line != '\0';) {
    char *end = std::strchr(line, '\n');
    if (end == nullptr) break;
    *end = '\0';
    char *at = line;
    Mapping mapping{};
    mapping.start = std::strtoull(at, &at, 16);
    mapping.end = std::strtoull(at + 1, &at, 16);
    if (end - at < 5) return false;
    const char *permissions = at + 1;
    mapping.protection = (permissions[0] == 'r' ? PROT_READ : 0) | (permissions[1] == 'w' ? PROT_WRITE : 0) |
                         (permissions[2] == 'x' ? PROT_EXEC : 0);
    mapping.shared = permissions[3] == 's';
    const char *path = at + 5;
    for (int field = 0; field < 3 && *path != '\0'; field++) { // offset, device, inode
      path += std::strspn(path, " ");
      path += std::strcspn(path, " ");
    }
    mapping.path = path + std::strspn(path, " ");
    if (!mappings_.add(mapping)) return false;
    line = end + 1;
  }
  return !mappings_.empty();
}

const Mapping *MemoryMap::find(std::uintptr_t address) const {
  std::size_t low = 0, high = mappings_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (mappings_[middle].end <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < mappings_.size() && mappings_[low].start <= address ? &mappings_[low] : nullptr;
}

int tracer() {
  Buffer status;
  if (!read_file("/proc/self/status", status, 64 << 10)) return 0;
  const char *line = std::strstr(status.begin(), "\nTracerPid:");
  return line != nullptr ? std::atoi(line + sizeof "\nTracerPid:" - 1) : 0;
}

bool is_lldb(int tracer) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/comm", tracer);
  Buffer name;
  return read_file(path, name, 64) && std::strncmp(name.begin(), "lldb", 4) == 0;
}

namespace {

/** /proc/PID/stat behind field 2, the name, which is in parentheses and may hold anything; null when there is no such
 * process. */
const char *read_stat(int pid, Buffer &stat) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  return read_file(path, stat, 64 << 10) ? std::strrchr(stat.begin(), ')') : nullptr;
}

std::uint64_t start_time_of(const char *at) {
  for (int field = 2; at != nullptr && field < 22; field++) {
    at = std::strchr(at + 1, ' ');
  }
  return at != nullptr ? std::strtoull(at, nullptr, 10) : 0;
}

} // namespace

std::uint64_t start_time(int pid) {
  Buffer stat;
  return start_time_of(read_stat(pid, stat));
}

bool has_ended(int pid, std::uint64_t started) {
  Buffer stat;
  const char *at = read_stat(pid, stat);
  return at == nullptr || start_time_of(at) != started || at[2] == 'Z' || at[2] == 'X';
}

bool has_own_proc() {
  char number[16] = "";
  return readlink("/proc/self", number, sizeof number - 1) > 0 && std::atoi(number) == getpid();
}

void pid_namespace(char (&name)[64]) {
  const ssize_t length = readlink("/proc/self/ns/pid", name, sizeof name - 1);
  name[length > 0 ? length : 0] = '\0';
}

std::uint64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::uint64_t unix_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000000;
}

void pause_microseconds(unsigned microseconds) {
  const timespec time{static_cast<time_t>(microseconds / 1000000), static_cast<long>(microseconds % 1000000) * 1000};
  nanosleep(&time, nullptr);
}

namespace {

// <linux/fs.h> since Linux 6.7 (Documentation/admin-guide/mm/pagemap.rst): which pages of a range are of some kind.
struct PageRegion {
  std::uint64_t start, end, categories;
};
struct PageScan {
  std::uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
  std::uint64_t inverted, all_of, any_of, returned;
};
constexpr std::uint64_t is_present = 1 << 3, is_swapped = 1 << 4;

/** How many regions were found, one at most; below 0 when the kernel cannot tell. */
int scan_pages(int pagemap, std::uintptr_t start, std::uintptr_t end, PageRegion &region) {
  PageScan scan{};
  scan.size = sizeof scan;
  scan.start = start;
  scan.end = end;
  scan.regions = reinterpret_cast<std::uintptr_t>(&region);
  scan.region_count = 1;
  scan.any_of = is_present | is_swapped;
  scan.returned = is_present;
  return ioctl(pagemap, _IOWR('f', 16, PageScan), &scan);
}

} // namespace

PagesInUse::PagesInUse() : pagemap_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {
  PageRegion region{};
  scans_ = pagemap_ >= 0 && scan_pages(pagemap_, arch::page_size, 2 * arch::page_size, region) >= 0;
}

PagesInUse::~PagesInUse() {
  if (pagemap_ >= 0) close(pagemap_);
}

PagesInUse::Run PagesInUse::next(std::uintptr_t start, std::uintptr_t end) const {
  if (pagemap_ < 0) return {start, end};
  if (scans_) {
    PageRegion region{};
    const int found = scan_pages(pagemap_, start, end, region);
    return found < 0 ? Run{start, end} : found == 0 ? Run{end, end} : Run{region.start, region.end};
  }
  // One word a page; bit 63: present, bit 62: swapped.
  std::uint64_t entries[256];
  for (std::uintptr_t at = start; at < end;) {
    const std::size_t wanted = std::min<std::size_t>((end - at) / arch::page_size, sizeof entries / sizeof *entries);
    const auto offset = static_cast<off_t>(at / arch::page_size * sizeof *entries);
    const auto bytes = static_cast<ssize_t>(wanted * sizeof *entries);
    if (pread(pagemap_, entries, wanted * sizeof *entries, offset) != bytes) return {at, end};
    const auto is_used = [](std::uint64_t entry) { return (entry >> 62) != 0; };
    const std::uint64_t *first = std::find_if(entries, entries + wanted, is_used);
    const std::uint64_t *last = std::find_if_not(first, const_cast<const std::uint64_t *>(entries + wanted), is_used);
    const auto address = [&](const std::uint64_t *entry) {
      return at + static_cast<std::uintptr_t>(entry - entries) * arch::page_size;
    };
    if (first != last) return {address(first), address(last)};
    at = address(entries + wanted);
  }
  return {end, end};
}

std::size_t read_memory(std::uintptr_t address, void *to, std::size_t length) {
  const iovec local{to, length};
  const iovec remote{reinterpret_cast<void *>(address), length};
  ssize_t count = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  if (count < 0 && (errno == EPERM || errno == ENOSYS)) { // containers may forbid it
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (memory < 0) return 0;
    count = pread(memory, to, length, static_cast<off_t>(address));
    close(memory);
  }
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

} // namespace hot_fix
