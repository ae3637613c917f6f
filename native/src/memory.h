// The runtime's own memory, straight from mmap: the program's allocator may be held by a thread that waits for us.
// Records live as long as the process; lists and buffers as long as their owner. Used by the worker thread (and by
// the thread that starts the runtime, before there is one); never by a signal handler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

namespace hot_fix {

/** Zeroed pages of at least `size` bytes, or null. Remembered as the runtime's own until they are unmapped. */
void *map_pages(std::size_t size);
void unmap_pages(void *pages, std::size_t size);

/** Whether the address lies in memory from map_pages. */
bool is_own_memory(std::uintptr_t address);

/** Memory that is never freed, zeroed, aligned to 16; null when there is none. */
void *allocate_record(std::size_t size);

template <class T> T *new_record() {
  void *memory = allocate_record(sizeof(T));
  return memory != nullptr ? new (memory) T() : nullptr;
}

/** A copy of the text that is never freed; an empty text when there is no memory. */
const char *keep_text(const char *text);

/** A growing array of plain values. `add` says false when there is no memory; nothing is lost then. */
template <class T> class List {
  static_assert(std::is_trivially_copyable_v<T>);

public:
  constexpr List() = default;
  List(const List &) = delete;
  List &operator=(const List &) = delete;
  ~List() { unmap_pages(items_, capacity_ * sizeof(T)); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T &operator[](std::size_t index) { return items_[index]; }
  const T &operator[](std::size_t index) const { return items_[index]; }
  T *begin() { return items_; }
  T *end() { return items_ + size_; }
  const T *begin() const { return items_; }
  const T *end() const { return items_ + size_; }
  void clear() { size_ = 0; }

  bool reserve(std::size_t count) {
    if (count <= capacity_) return true;
    std::size_t wanted = capacity_ == 0 ? 4096 / sizeof(T) + 1 : capacity_ * 2;
    if (wanted < count) wanted = count;
    void *grown = map_pages(wanted * sizeof(T));
    if (grown == nullptr) return false;
    if (size_ != 0) std::memcpy(grown, static_cast<const void *>(items_), size_ * sizeof(T));
    unmap_pages(items_, capacity_ * sizeof(T));
    items_ = static_cast<T *>(grown);
    capacity_ = wanted;
    return true;
  }

  bool add(const T &item) {
    if (!reserve(size_ + 1)) return false;
    items_[size_++] = item;
    return true;
  }

  bool append(const T *items, std::size_t count) {
    if (!reserve(size_ + count)) return false;
    if (count != 0) std::memcpy(static_cast<void *>(items_ + size_), items, count * sizeof(T));
    size_ += count;
    return true;
  }

  void remove(std::size_t index) { items_[index] = items_[--size_]; }

  /** Asks of each item once; the others change their places. */
  template <class Condition> void remove_if(Condition condition) {
    for (std::size_t i = 0; i < size_;) {
      if (condition(items_[i])) {
        remove(i);
      } else {
        i++;
      }
    }
  }

  void shrink(std::size_t count) { size_ = count; }

private:
  T *items_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

using Buffer = List<char>;

/** Replaces the buffer's content with what the file descriptor gives until its end, followed by a NUL that is not
 * counted. False on a read error, when memory is short or when there are more than `limit` bytes. */
bool read_all(int descriptor, Buffer &buffer, std::size_t limit);

/** The same for a file that is opened read-only for it. */
bool read_file(const char *path, Buffer &buffer, std::size_t limit);

} // namespace hot_fix
