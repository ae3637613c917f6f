// The GDB JIT interface: two symbols with names that debuggers look for, and a list that they read.
#include "debugger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poison.h"

extern "C" {

struct jit_code_entry {
  jit_code_entry *next_entry, *prev_entry;
  const char *symfile_addr;
  std::uint64_t symfile_size;
};

enum : std::uint32_t { jit_no_action, jit_register, jit_unregister };

struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry *relevant_entry;
  jit_code_entry *first_entry;
};

// Hidden: the debugger finds them in .symtab, and another JIT in the process keeps its own.
__attribute__((used)) jit_descriptor __jit_debug_descriptor = {1, jit_no_action, nullptr, nullptr};

// The debugger puts a breakpoint here.
__attribute__((used, noinline)) void __jit_debug_register_code(void) { __asm__ volatile("" ::: "memory"); }
}

namespace hot_fix {

struct DebuggerEntry {
  jit_code_entry entry;
};

namespace {

constexpr std::uint64_t most_bytes = 512 << 20;

void tell(jit_code_entry &entry, std::uint32_t action) {
  __jit_debug_descriptor.relevant_entry = &entry;
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_register_code();
  __jit_debug_descriptor.action_flag = jit_no_action;
  __jit_debug_descriptor.relevant_entry = nullptr;
}

/** The file in memory, or null. Mapped, not copied: its pages are clean, and the kernel takes them back at will. */
char *map_whole(const char *path, std::uint64_t &size) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  void *content = MAP_FAILED;
  if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
      static_cast<std::uint64_t>(status.st_size) <= most_bytes) {
    size = static_cast<std::uint64_t>(status.st_size);
    content = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  }
  close(descriptor);
  return content != MAP_FAILED ? static_cast<char *>(content) : nullptr;
}

} // namespace

bool announce_to_debugger(Patch &patch, const char *file) {
  std::uint64_t size = 0;
  char *content = map_whole(file, size);
  if (content == nullptr) return false;
  withdraw_from_debugger(patch);
  if (patch.debugger == nullptr) patch.debugger = new_record<DebuggerEntry>();
  if (patch.debugger == nullptr) {
    munmap(content, size);
    return false;
  }
  jit_code_entry &entry = patch.debugger->entry;
  entry = {__jit_debug_descriptor.first_entry, nullptr, content, size};
  if (entry.next_entry != nullptr) entry.next_entry->prev_entry = &entry;
  __jit_debug_descriptor.first_entry = &entry;
  tell(entry, jit_register);
  return true;
}

void withdraw_from_debugger(Patch &patch) {
  if (patch.debugger == nullptr || patch.debugger->entry.symfile_addr == nullptr) return;
  jit_code_entry &entry = patch.debugger->entry;
  (entry.prev_entry != nullptr ? entry.prev_entry->next_entry : __jit_debug_descriptor.first_entry) = entry.next_entry;
  if (entry.next_entry != nullptr) entry.next_entry->prev_entry = entry.prev_entry;
  tell(entry, jit_unregister);
  munmap(const_cast<char *>(entry.symfile_addr), entry.symfile_size);
  entry = {};
}

} // namespace hot_fix
