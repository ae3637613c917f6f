// Binds the symbols of a generated patch the way the process's own loader would: in the global scope first, then
// in the scope of the module that the patch belongs to. Looks up; writes nothing.
#pragma once

#include "failure.h"
#include "module.h"

#include <cstdint>

namespace hot_fix {

/** The module's own scope, opened on first use. */
class SymbolScope {
public:
  explicit SymbolScope(const Module &module) : module_(module) {}
  SymbolScope(const SymbolScope &) = delete;
  SymbolScope &operator=(const SymbolScope &) = delete;
  ~SymbolScope();

  /** Address of the symbol; `version` may be null. An undefined weak symbol is 0, another fails with
   * symbol-not-found. */
  bool bind(const char *name, const char *version, bool weak, std::uint64_t &address, Failure &failure);

  /** Module id and offset of a thread-local symbol (psABI, "Thread-Local Storage": DTPMOD64, DTPOFF64). */
  bool bind_thread_local(const char *name, ThreadLocalSymbol &symbol, Failure &failure);

private:
  bool look_up(void *handle, const char *name, const char *version, std::uint64_t &address);

  const Module &module_;
  void *handle_ = nullptr;
  bool opened_ = false;
};

/** The offset from the thread pointer of a place in a TLS block of the calling thread (TPOFF64). Fails when the
 * block is not static: then it lies elsewhere in every thread. */
bool thread_pointer_offset(std::uintptr_t address, std::uint64_t &offset);

} // namespace hot_fix
