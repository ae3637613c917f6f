// Page protection: one mprotect for each page before and after, /proc/self/mem where writable code is denied.
#include "page_protection.h"

#include "process.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

HOT_FIX_ACCESSES_CODE void store_one_by_one(std::uintptr_t address, const std::uint8_t *bytes, std::size_t length) {
  for (std::size_t i = 0; i < length; i++) {
    __atomic_store_n(reinterpret_cast<std::uint8_t *>(address) + i, bytes[i], __ATOMIC_SEQ_CST);
  }
}

} // namespace

PageProtection::~PageProtection() { close(); }

bool PageProtection::add(std::uintptr_t address, std::size_t length) {
  const std::uintptr_t mask = arch::page_size - 1;
  for (std::uintptr_t start = address & ~mask; start < address + length; start += arch::page_size) {
    if (record_of(start) != nullptr) continue;
    Page page{};
    page.record.start = start;
    if (!pages_.add(page)) return false;
  }
  return true;
}

bool PageProtection::change(Page &page, int protection) {
  const int result = mprotect(reinterpret_cast<void *>(page.record.start), arch::page_size, protection);
  const int error_number = result != 0 ? errno : 0;
  PageRecord &record = page.record;
  if (record.call_count < sizeof record.calls / sizeof *record.calls) {
    record.calls[record.call_count++] = {protection, result, error_number};
  }
  errno = error_number;
  return result == 0;
}

bool PageProtection::open(Failure &failure) {
  MemoryMap map;
  if (!map.read()) return fail(failure, Code::internal, 0, nullptr, "/proc/self/maps cannot be read");
  for (Page &page : pages_) {
    const Mapping *mapping = map.find(page.record.start);
    if (mapping == nullptr || (mapping->protection & PROT_EXEC) == 0) {
      return fail(failure, Code::original_differs, 0, nullptr, "there is no code at %#lx",
                  static_cast<unsigned long>(page.record.start));
    }
    page.protection = mapping->protection;
  }
  for (Page &page : pages_) {
    page.opened = change(page, PROT_READ | PROT_WRITE | PROT_EXEC);
    if (page.opened) continue;
    // Never writable without being executable, as W^X would have it: threads are running in this page.
    const int error_number = errno;
    if (memory_file_ < 0) memory_file_ = ::open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    // A page's first byte is written back as it is: whether the file can be written must be known before a thread
    // meets a half-written entry.
    std::uint8_t first = 0;
    if (memory_file_ < 0 || read_memory(page.record.start, &first, 1) != 1 || !write(page.record.start, &first, 1)) {
      close();
      return fail(failure, Code::mprotect_failed, error_number, nullptr,
                  "mprotect(%#lx, %zu, PROT_READ|PROT_WRITE|PROT_EXEC) failed with errno %d, and /proc/self/mem "
                  "cannot be written",
                  static_cast<unsigned long>(page.record.start), arch::page_size, error_number);
    }
    page.record.through_memory_file = true;
  }
  return true;
}

void PageProtection::close() {
  for (Page &page : pages_) {
    if (page.opened) change(page, page.protection);
    page.opened = false;
  }
  if (memory_file_ >= 0) ::close(memory_file_);
  memory_file_ = -1;
}

bool PageProtection::write(std::uintptr_t address, const std::uint8_t *bytes, std::size_t length) {
  if (through_memory_file()) {
    return pwrite(memory_file_, bytes, length, static_cast<off_t>(address)) == static_cast<ssize_t>(length);
  }
  // The text under running threads: single stores, which the compiler must neither split nor join.
  if (arch::is_single_store(address, length)) {
    arch::store_at_once(address, bytes, length);
    return true;
  }
  store_one_by_one(address, bytes, length);
  return true;
}

const PageRecord *PageProtection::record_of(std::uintptr_t start) const {
  for (const Page &page : pages_) {
    if (page.record.start == start) return &page.record;
  }
  return nullptr;
}

} // namespace hot_fix
