// What the process can see of itself: its memory map, its tracer, its age. Reads /proc/self and the clocks only.
#pragma once

#include "memory.h"

#include <cstdint>

namespace hot_fix {

struct Mapping {
  std::uintptr_t start, end;
  int protection; // PROT_*
  bool shared;
  const char *path; // "" for anonymous memory; lives as long as the MemoryMap
};

/** The process's mappings in ascending order (/proc/self/maps), as they were at `read`. */
class MemoryMap {
public:
  bool read();
  /** The mapping that holds the address, or null. */
  const Mapping *find(std::uintptr_t address) const;
  const List<Mapping> &mappings() const { return mappings_; }

private:
  Buffer text_;
  List<Mapping> mappings_;
};

/** The tid of the debugger that is attached to the process, or 0. */
int tracer();

/** Whether that debugger is lldb (or its server, which is what traces), by its name. */
bool is_lldb(int tracer);

/** Whether /proc counts processes and threads as this one does. That of another PID namespace does not: under the numbers
 * of its own threads the process would find others. */
bool has_own_proc();

/** Start time in clock ticks since boot (field 22 of /proc/PID/stat), or 0 when there is no such process. */
std::uint64_t start_time(int pid);

/** Whether a process has ended, also when its parent does not know it yet (a zombie). */
bool has_ended(int pid, std::uint64_t started);

/** The name of the pid namespace, e.g. pid:[4026531836]; "" when /proc does not say. */
void pid_namespace(char (&name)[64]);

/** CLOCK_MONOTONIC in microseconds. */
std::uint64_t monotonic_microseconds();

/** Unix time in milliseconds. */
std::uint64_t unix_milliseconds();

/** Sleeps; signals do not shorten it below its purpose, which is only not to spin. */
void pause_microseconds(unsigned microseconds);

/** Copies from an address of this process that may not be mapped. Returns the bytes copied, 0 when there are none. */
std::size_t read_memory(std::uintptr_t address, void *to, std::size_t length);

/** Finds the pages of this process that are in use: in memory, or swapped out. All are, where the system does not say. */
class PagesInUse {
public:
  struct Run {
    std::uintptr_t start, end;
  };
  PagesInUse();
  ~PagesInUse();
  PagesInUse(const PagesInUse &) = delete;
  PagesInUse &operator=(const PagesInUse &) = delete;

  /** The first run of them in [start, end), which is made of whole pages; an empty one at `end` when there is none. */
  Run next(std::uintptr_t start, std::uintptr_t end) const;

  /** Whether so many bytes are walked in less than a second. The shadow of the address sanitizer has 14 TiB, which a
   * kernel before 6.7 tells of page by page. */
  bool can_walk(std::size_t length) const { return scans_ || length <= std::size_t{64} << 30; }

private:
  int pagemap_;
  bool scans_; // the kernel passes over what was never touched
};

} // namespace hot_fix
