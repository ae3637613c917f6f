// The memory of another process. Reads and writes what is mapped there; maps nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hot_fix {

/** Copies from `address` of the process. False unless all of it could be read. */
bool read_remote(int pid, std::uint64_t address, void *to, std::size_t length);

/** Copies as much as is mapped. Returns the bytes copied. */
std::size_t read_remote_some(int pid, std::uint64_t address, void *to, std::size_t length);

/** Copies to `address` of the process; to a stack that must grow for it as well. False unless all was written. */
bool write_remote(int pid, std::uint64_t address, const void *from, std::size_t length);

/** Copies a NUL-terminated text, cut off at `size`. */
bool read_remote_text(int pid, std::uint64_t address, char *text, std::size_t size);

template <class T> bool read_remote(int pid, std::uint64_t address, T &value) {
  return read_remote(pid, address, &value, sizeof value);
}

} // namespace hot_fix
