// The threads of the process, seen from the worker through /proc/self/task and their clocks.
#include "threads.h"

#include "arch_x86_64.h"
#include "directory_names.h"
#include "process.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

/** Reads a small file of a thread into `text`, NUL-terminated; -1 when the thread or the permission is missing. */
ssize_t read_thread_file(int tid, const char *name, char *text, std::size_t size) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return -1;
  const ssize_t count = read(descriptor, text, size - 1);
  close(descriptor);
  if (count >= 0) text[count] = '\0';
  return count;
}

} // namespace

bool list_threads(List<int> &threads) {
  threads.clear();
  const int directory = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  const int self = static_cast<int>(syscall(SYS_gettid));
  bool complete = true;
  const bool is_read = for_each_name(directory, [&](const char *name) {
    const int tid = std::atoi(name);
    if (tid > 0 && tid != self) complete = threads.add(tid) && complete;
  });
  close(directory);
  return is_read && complete;
}

ThreadState thread_state(int tid) {
  char stat[512];
  if (read_thread_file(tid, "stat", stat, sizeof stat) <= 0) return {ThreadState::gone, 0, 0, -1};
  const char *name_end = std::strrchr(stat, ')');
  const char state = name_end != nullptr && name_end[1] == ' ' ? name_end[2] : 'R';
  if (state == 'Z' || state == 'X' || state == 'x') return {ThreadState::gone, 0, 0, -1};
  const bool is_stopped = state == 't' || state == 'T';

  // proc(5): "running", or "-1 SP PC" (blocked, not in a system call), or "NUMBER six-arguments SP PC".
  char text[256];
  if (read_thread_file(tid, "syscall", text, sizeof text) <= 0) {
    return {is_stopped ? ThreadState::stopped : state == 'S' ? ThreadState::blocked : ThreadState::running, 0, 0, -1};
  }
  const char *counter = std::strrchr(text, ' ');
  if (counter == nullptr) return {ThreadState::running, 0, 0, -1};
  const char *stack = counter;
  while (stack > text && stack[-1] != ' ') stack--;
  return {is_stopped ? ThreadState::stopped : ThreadState::blocked, std::strtoull(counter + 1, nullptr, 16),
          std::strtoull(stack, nullptr, 16), std::strtol(text, nullptr, 10)};
}

std::int64_t processor_microseconds(int tid) {
  // clock_getcpuclockid for a thread (the kernel's CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED), which pthreads offers only
  // for a pthread_t.
  const auto clock = static_cast<clockid_t>((~static_cast<unsigned>(tid) << 3) | 6U);
  timespec used{};
  if (clock_gettime(clock, &used) != 0) return -1;
  return static_cast<std::int64_t>(used.tv_sec) * 1000000 + used.tv_nsec / 1000;
}

bool signal_bits(int tid, const char *name, std::uint64_t &bits) {
  char status[4096];
  if (read_thread_file(tid, "status", status, sizeof status) <= 0) return false;
  const char *line = std::strstr(status, name);
  if (line == nullptr) return false;
  bits = std::strtoull(line + std::strlen(name), nullptr, 16);
  return true;
}

bool blocks_signal(int tid, int signal) {
  std::uint64_t blocked = 0;
  return signal_bits(tid, "SigBlk:", blocked) && (blocked >> (signal - 1) & 1) != 0;
}

namespace {

/** How many filters stand between the thread and the kernel, the strict mode counting as all; 0 when it is gone, or for a
 * kernel without seccomp. Before Linux 5.9 their number is not told: one, then. */
unsigned long sandbox_of(int tid) {
  constexpr char mode_name[] = "\nSeccomp:", filters_name[] = "\nSeccomp_filters:";
  char status[4096];
  if (read_thread_file(tid, "status", status, sizeof status) <= 0) return 0;
  const char *mode = std::strstr(status, mode_name), *filters = std::strstr(status, filters_name);
  const unsigned long of_mode = mode != nullptr ? std::strtoul(mode + sizeof mode_name - 1, nullptr, 10) : 0;
  if (of_mode == 1) return ULONG_MAX; // SECCOMP_MODE_STRICT
  if (of_mode == 0 || filters == nullptr) return of_mode != 0;
  return std::strtoul(filters + sizeof filters_name - 1, nullptr, 10);
}

} // namespace

int find_sandboxed_thread() {
  List<int> threads;
  if (!list_threads(threads)) return -1;
  const unsigned long own = sandbox_of(static_cast<int>(syscall(SYS_gettid)));
  for (const int tid : threads) {
    if (sandbox_of(tid) > own) return tid;
  }
  return 0;
}

namespace {

constexpr std::size_t control_block_size = 4096; // more than any libc's

/** Where a control block keeps the id of its thread, by our own; 0 when it is not found. */
std::size_t thread_id_offset() {
  std::int32_t words[control_block_size / sizeof(std::int32_t)];
  const std::size_t count = read_memory(arch::thread_pointer(), words, sizeof words) / sizeof *words;
  const auto own = static_cast<std::int32_t>(syscall(SYS_gettid));
  const auto *found = std::find(words, words + count, own);
  return found != words + count ? static_cast<std::size_t>(found - words) * sizeof *words : 0;
}

} // namespace

bool is_left_stack(std::uintptr_t start, std::uintptr_t end) {
  const std::size_t offset = thread_id_offset();
  std::uintptr_t words[control_block_size / sizeof(std::uintptr_t)];
  if (offset == 0 || end - start < sizeof words) return false;
  const std::uintptr_t at = end - sizeof words;
  const std::size_t count = read_memory(at, words, sizeof words) / sizeof *words;
  for (std::size_t i = 0; i + 2 < count; i++) {
    if (!arch::is_control_block(words + i, at + i * sizeof *words)) continue;
    std::int32_t tid;
    return read_memory(at + i * sizeof *words + offset, &tid, sizeof tid) == sizeof tid && tid <= 0;
  }
  return false;
}

void thread_name(int tid, char (&name)[16]) {
  const ssize_t length = read_thread_file(tid, "comm", name, sizeof name);
  if (length <= 0) {
    std::strcpy(name, "?");
  } else if (name[length - 1] == '\n') {
    name[length - 1] = '\0';
  }
}

bool is_alone() {
  List<int> threads;
  return tracer() != 0 && list_threads(threads) && !threads.empty() &&
         std::all_of(threads.begin(), threads.end(),
                     [](int tid) { return thread_state(tid).kind == ThreadState::stopped; });
}

} // namespace hot_fix
