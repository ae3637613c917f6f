// Text files of other processes under /proc: read whole, and their fields taken out. Knows no meaning of them.
#pragma once

#include "memory.h"

namespace hot_fix {

/** Reads /proc/PID/NAME, or /proc/PID/task/TID/NAME when `tid` is not 0. False when it cannot be read. */
bool read_process_file(int pid, int tid, const char *name, Buffer &text);

/** The fields of a `status` file (proc(5)). Absent ones read as 0 or "". */
class StatusFile {
public:
  bool read(int pid, int tid = 0) { return read_process_file(pid, tid, "status", text_); }
  /** The text behind `NAME:` up to the end of its line. */
  void text(const char *name, char *value, std::size_t size) const;
  long number(const char *name) const;
  std::uint64_t mask(const char *name) const; // hexadecimal, as signal and capability sets are
  /** The last number of a line: of `NSpid`, the number in the innermost pid namespace. */
  long last_number(const char *name) const;

private:
  const char *find(const char *name) const;
  Buffer text_;
};

/** Some fields of /proc/PID/stat (proc(5)). */
struct StatFile {
  char name[32];
  char state;
  int parent;
  unsigned flags; // PF_*, include/linux/sched.h
  int processor; // on which it last ran
  std::uint64_t start_time;
};
bool read_stat(int pid, int tid, StatFile &stat);

/** Calls `visit(number)` with each numbered entry of a directory of /proc. */
bool list_numbers(const char *directory, List<int> &numbers);

} // namespace hot_fix
