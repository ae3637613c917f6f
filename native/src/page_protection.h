// Makes the pages of function entries writable for the time of one write, and puts their protection back. Every
// mprotect call is recorded with its result. Pages stay executable throughout: threads run in them.
#pragma once

#include "failure.h"
#include "function_table.h"

#include <cstdint>

namespace hot_fix {

class PageProtection {
public:
  PageProtection() = default;
  PageProtection(const PageProtection &) = delete;
  PageProtection &operator=(const PageProtection &) = delete;
  ~PageProtection();

  /** Adds the pages of [address, address + length). */
  bool add(std::uintptr_t address, std::size_t length);

  /** Opens all added pages; on failure all are as they were (mprotect-failed). */
  bool open(Failure &failure);

  /** Puts the protections back. Part of every way out; the destructor sees to it. */
  void close();

  /** Whether some page is written through /proc/self/mem. */
  bool through_memory_file() const { return memory_file_ >= 0; }

  /** Whether a write of these bytes becomes visible at once. One byte always does. */
  bool is_single_store(std::uintptr_t address, std::size_t length) const {
    return length == 1 || (!through_memory_file() && arch::is_single_store(address, length));
  }

  /** Writes into opened pages. */
  bool write(std::uintptr_t address, const std::uint8_t *bytes, std::size_t length);

  /** What was done to the page, or null. */
  const PageRecord *record_of(std::uintptr_t page) const;

private:
  struct Page {
    PageRecord record;
    int protection; // before
    bool opened;
  };
  bool change(Page &page, int protection);

  List<Page> pages_;
  int memory_file_ = -1;
};

} // namespace hot_fix
