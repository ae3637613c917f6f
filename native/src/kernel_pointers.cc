// What /proc says of them (proc(5), "fdinfo" and "timers").
#include "kernel_pointers.h"

#include "directory_names.h"
#include "memory.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t largest_text = 64 << 20;

/** The descriptors of epoll instances. */
bool list_epolls(List<int> &descriptors) {
  const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  bool complete = true;
  const bool is_read = for_each_name(directory, [&](const char *name) {
    char target[64] = "";
    if (readlinkat(directory, name, target, sizeof target - 1) <= 0) return;
    if (std::strcmp(target, "anon_inode:[eventpoll]") == 0) complete = descriptors.add(std::atoi(name)) && complete;
  });
  close(directory);
  return is_read && complete;
}

/** The numbers behind each occurrence of a key, in hexadecimal. */
template <class Visit> void for_each_value(const char *text, const char *key, char before, Visit visit) {
  for (const char *at = std::strstr(text, key); at != nullptr; at = std::strstr(at, key)) {
    at += std::strlen(key);
    if (before != '\0') {
      const std::size_t skipped = std::strcspn(at, "/\n");
      if (at[skipped] != before) continue;
      at += skipped + 1;
    }
    visit(static_cast<std::uintptr_t>(std::strtoull(at, nullptr, 16)));
  }
}

} // namespace

bool visit_kernel_pointers(void (*visit)(void *context, std::uintptr_t word, const char *what), void *context) {
  List<int> epolls;
  Buffer text;
  if (!list_epolls(epolls)) return false;
  for (const int descriptor : epolls) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/fdinfo/%d", descriptor);
    if (!read_file(path, text, largest_text)) return false;
    for_each_value(text.begin(), "data:", '\0', [&](std::uintptr_t word) { visit(context, word, "an epoll instance"); });
  }
  // A kernel that tells nothing of timers has no such file.
  if (!read_file("/proc/self/timers", text, largest_text)) return errno == ENOENT;
  for_each_value(text.begin(), "signal:", '/', [&](std::uintptr_t word) { visit(context, word, "a timer"); });
  return true;
}

} // namespace hot_fix
