// The modules of the process (executable and shared objects): which one a patch belongs to, by load bias and build
// id, and what its loader knows of it. Reads the loader's list; changes nothing.
#pragma once

#include "failure.h"

#include <cstddef>
#include <cstdint>

namespace hot_fix {

struct Module {
  std::uintptr_t bias;
  const char *path;          // as the loader has it; "" for the executable
  std::size_t tls_module_id; // 0: the module has no TLS
  std::uintptr_t tls_block;  // of the calling thread
  struct Range {
    std::uintptr_t start, end;
  } code[8]; // executable segments
  std::size_t code_count;
  const std::uint8_t *build_id; // in its memory; null: it has none
  std::size_t build_id_length;

  bool has_code(std::uintptr_t address, std::size_t length) const;
};

/** Finds the module with that load bias and build id (length 0: it must have none), or fails with wrong-module.
 * `path` is for the message. */
bool find_module(std::uintptr_t bias, const std::uint8_t *build_id, std::size_t build_id_length, const char *path,
                 Module &module, Failure &failure);

/** Finds the module whose segments hold the address. */
bool find_module_of(std::uintptr_t address, Module &module);

struct ThreadLocalSymbol {
  std::size_t module_id;
  std::uintptr_t offset;    // in the module's TLS block
  std::uintptr_t tls_block; // of the calling thread
};

/** Finds the first module, in load order, that defines the thread-local symbol. */
bool find_thread_local(const char *name, ThreadLocalSymbol &symbol);

/** Calls `visit` with the range of a variable that the dynamic loader exports, within dl_iterate_phdr; never where there is
 * none. */
void visit_loader_variable(const char *name, void (*visit)(std::uintptr_t start, std::uintptr_t end));

} // namespace hot_fix
