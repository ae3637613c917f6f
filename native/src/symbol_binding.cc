// Symbol binding through the process's own loader.
#include "symbol_binding.h"

#include "arch_x86_64.h"
#include "process.h"

#include <dlfcn.h>

#include "poison.h"

namespace hot_fix {

SymbolScope::~SymbolScope() {
  if (handle_ != nullptr) dlclose(handle_);
}

bool SymbolScope::look_up(void *handle, const char *name, const char *version, std::uint64_t &address) {
  // A symbol may be found and be 0: only dlerror tells.
  dlerror();
  void *found = version != nullptr ? dlvsym(handle, name, version) : dlsym(handle, name);
  if (dlerror() != nullptr) return false;
  address = reinterpret_cast<std::uint64_t>(found);
  return true;
}

bool SymbolScope::bind(const char *name, const char *version, bool weak, std::uint64_t &address, Failure &failure) {
  if (look_up(RTLD_DEFAULT, name, version, address)) return true;
  if (!opened_) {
    opened_ = true;
    // A module that was loaded with RTLD_LOCAL sees its own dependencies, which are not in the global scope.
    if (module_.path[0] != '\0') handle_ = dlopen(module_.path, RTLD_NOLOAD | RTLD_LAZY);
  }
  if (handle_ != nullptr && look_up(handle_, name, version, address)) return true;
  if (weak) {
    address = 0;
    return true;
  }
  return fail(failure, Code::symbol_not_found, 0, name, "%s%s%s is not in the process or its libraries", name,
              version != nullptr ? "@" : "", version != nullptr ? version : "");
}

bool SymbolScope::bind_thread_local(const char *name, ThreadLocalSymbol &symbol, Failure &failure) {
  if (find_thread_local(name, symbol)) return true;
  return fail(failure, Code::symbol_not_found, 0, name, "the thread-local %s is not in the process or its libraries",
              name);
}

bool thread_pointer_offset(std::uintptr_t address, std::uint64_t &offset) {
  // x86-64 puts the static TLS blocks directly below the thread pointer (psABI: TLS variant II), in the mapping
  // of the thread's stack; blocks made later come from the allocator.
  const std::uintptr_t base = arch::thread_pointer();
  offset = address - base;
  if (address == 0 || address > base) return false;
  MemoryMap map;
  if (!map.read()) return false;
  const Mapping *mapping = map.find(base);
  return mapping != nullptr && mapping == map.find(address);
}

} // namespace hot_fix
