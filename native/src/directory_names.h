// The names in a directory, by the kernel's own call: readdir would allocate.
#pragma once

#include <cstdint>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

namespace hot_fix {

// struct linux_dirent64 (getdents64(2))
struct DirectoryEntry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t length;
  std::uint8_t type;
  char name[1];
};

/** Calls `visit` with each name but those of the directory itself and its parent. False when not all could be read. */
template <class Visit> bool for_each_name(int directory, Visit visit) {
  alignas(DirectoryEntry) char entries[8192];
  for (;;) {
    const long count = syscall(SYS_getdents64, directory, entries, sizeof entries);
    if (count <= 0) return count == 0;
    for (long at = 0; at < count;) {
      const auto *entry = reinterpret_cast<const DirectoryEntry *>(entries + at);
      at += entry->length;
      if (std::strcmp(entry->name, ".") != 0 && std::strcmp(entry->name, "..") != 0) visit(entry->name);
    }
  }
}

} // namespace hot_fix
