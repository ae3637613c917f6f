// Reading /proc of other processes.
#include "proc_files.h"

#include <cstdio>
#include <cstdlib>
#include <dirent.h>

namespace hot_fix {

bool read_process_file(int pid, int tid, const char *name, Buffer &text) {
  char path[96];
  if (tid != 0) {
    std::snprintf(path, sizeof path, "/proc/%d/task/%d/%s", pid, tid, name);
  } else {
    std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  }
  return read_file(path, text, 64 << 20);
}

const char *StatusFile::find(const char *name) const {
  const std::size_t length = std::strlen(name);
  for (const char *line = text_.begin(); line != nullptr && *line != '\0';) {
    if (std::strncmp(line, name, length) == 0 && line[length] == ':') {
      line += length + 1;
      return line + std::strspn(line, " \t");
    }
    line = std::strchr(line, '\n');
    if (line != nullptr) line++;
  }
  return nullptr;
}

void StatusFile::text(const char *name, char *value, std::size_t size) const {
  const char *at = find(name);
  const std::size_t length = at != nullptr ? std::strcspn(at, "\n") : 0;
  std::snprintf(value, size, "%.*s", static_cast<int>(length), at != nullptr ? at : "");
}

long StatusFile::number(const char *name) const {
  const char *at = find(name);
  return at != nullptr ? std::strtol(at, nullptr, 10) : 0;
}

std::uint64_t StatusFile::mask(const char *name) const {
  const char *at = find(name);
  return at != nullptr ? std::strtoull(at, nullptr, 16) : 0;
}

long StatusFile::last_number(const char *name) const {
  char line[256];
  text(name, line, sizeof line);
  const char *last = std::strrchr(line, '\t');
  return std::strtol(last != nullptr ? last + 1 : line, nullptr, 10);
}

bool read_stat(int pid, int tid, StatFile &stat) {
  Buffer text;
  if (!read_process_file(pid, tid, "stat", text)) return false;
  // Field 2, the name, is in parentheses and may hold anything; field 3 follows its last parenthesis.
  const char *open = std::strchr(text.begin(), '(');
  const char *close = std::strrchr(text.begin(), ')');
  if (open == nullptr || close == nullptr || close < open || close[1] != ' ') return false;
  std::snprintf(stat.name, sizeof stat.name, "%.*s", static_cast<int>(close - open - 1), open + 1);
  stat.state = close[2];
  const char *at = close + 2;
  for (int field = 4; field <= 39; field++) {
    at = std::strchr(at, ' ');
    if (at == nullptr) return false;
    at++;
    if (field == 4) stat.parent = std::atoi(at);
    if (field == 9) stat.flags = static_cast<unsigned>(std::strtoul(at, nullptr, 10));
    if (field == 22) stat.start_time = std::strtoull(at, nullptr, 10);
    if (field == 39) stat.processor = std::atoi(at);
  }
  return true;
}

bool list_numbers(const char *directory, List<int> &numbers) {
  numbers.clear();
  DIR *entries = opendir(directory);
  if (entries == nullptr) return false;
  bool complete = true;
  while (const dirent *entry = readdir(entries)) {
    const int number = std::atoi(entry->d_name);
    if (number > 0) complete = numbers.add(number) && complete;
  }
  closedir(entries);
  return complete;
}

} // namespace hot_fix
