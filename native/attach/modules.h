// The modules of another process and their exported symbols, from its memory: the loader's own list and the dynamic
// sections it filled in. No file is opened, so it does not matter that files were replaced since, or that they lie
// in another mount namespace.
#pragma once

#include "failure.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

struct Module {
  std::uint64_t bias;       // address in the process - address in the file
  std::uint64_t start, end; // of the segments
  std::uint64_t text_start, text_end;
  std::uint64_t symbols, strings, hash, versions; // addresses of .dynsym, .dynstr, .gnu.hash, .gnu.version; 0: none
  char name[256];                                 // as the loader has it; "" for the executable
  bool unsafe; // a thread inside it may hold a lock that pthread_create or malloc takes
};

class Modules {
public:
  /** Reads the loader's list. False when there is none yet, or memory cannot be read. */
  bool read(int pid);
  const List<Module> &all() const { return modules_; }
  /** The first definition in the loader's order: what the program itself calls. 0: there is none. */
  std::uint64_t find(const char *symbol, const Module **module = nullptr) const;
  std::uint64_t find_in(const Module &module, const char *symbol) const;
  /** The module that holds the address, or null. */
  const Module *at(std::uint64_t address) const;
  /** Is the loader changing its list (RT_ADD, RT_DELETE) at this moment? */
  bool is_changing() const;
  /** Bytes of all modules' thread-local variables: a new thread's stack must hold them. */
  std::uint64_t thread_local_size() const { return thread_local_size_; }
  /** Marks the module that holds the address as one whose code must not be interrupted. */
  void mark_unsafe(std::uint64_t address);

private:
  bool add(std::uint64_t bias, std::uint64_t program_headers, unsigned count, std::uint64_t dynamic, const char *name);
  int pid_ = 0;
  std::uint64_t list_ = 0; // struct r_debug
  List<Module> modules_;
  std::uint64_t thread_local_size_ = 0;
};

/** Whether the last component of a path begins with `name`. */
bool is_named(const char *path, const char *name);

} // namespace hot_fix
