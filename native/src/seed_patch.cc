// Hand-written patches. What the engine knows of a generated patch's functions is found here by looking: the symbol
// of the old function for its size, its first bytes for an endbr64. Instruction boundaries are not known, so every
// byte of the entry counts as one.
#include "seed_patch.h"

#include "arch_x86_64.h"
#include "control_directory.h"
#include "process.h"

#include <cstdio>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t most_entries = 4096;

/** The size that the symbol at exactly this address has, and its name; 0 and null when there is no such symbol. */
std::uint64_t symbol_size(const void *address, const char *&name) {
  Dl_info info{};
  const ElfW(Sym) *symbol = nullptr;
  name = nullptr;
  if (dladdr1(address, &info, reinterpret_cast<void **>(const_cast<ElfW(Sym) **>(&symbol)), RTLD_DL_SYMENT) == 0 ||
      info.dli_saddr != address || symbol == nullptr) {
    return 0;
  }
  name = info.dli_sname;
  return symbol->st_size;
}

bool is_code(std::uintptr_t address) {
  Module module;
  return find_module_of(address, module) && module.has_code(address, 1);
}

} // namespace

bool load_seed_patch(const char *file, unsigned number, SeedPatch &patch, Failure &failure) {
  char name[32], copy[512];
  std::snprintf(name, sizeof name, "fix_table-%u.so", number);
  const int source = open_patch(file, Code::seed_patch_failed, failure);
  if (source < 0) return false;
  const bool copied = keep_patch_copy(source, name, copy);
  close(source);
  patch.handle = dlopen(copied ? copy : file, RTLD_NOW | RTLD_LOCAL);
  if (patch.handle == nullptr) {
    const char *reason = dlerror();
    return fail(failure, Code::seed_patch_failed, 0, nullptr, "%s: %.500s", file, reason != nullptr ? reason : "?");
  }
  patch.table = static_cast<const FIXTABLE *>(dlsym(patch.handle, "fix_table"));
  if (patch.table == nullptr) {
    dlclose(patch.handle);
    return fail(failure, Code::seed_patch_failed, 0, nullptr, "%s defines no fix_table", file);
  }
  const char *symbol = nullptr;
  patch.count = symbol_size(patch.table, symbol) / sizeof(FIXTABLE);
  if (patch.count == 0) patch.count = 1;
  if (patch.count > most_entries ||
      !find_module_of(reinterpret_cast<std::uintptr_t>(patch.table), patch.module)) {
    dlclose(patch.handle);
    return fail(failure, Code::seed_patch_failed, 0, nullptr, "%s: its fix_table is not a table", file);
  }
  return true;
}

bool describe_seed_function(const FIXTABLE &entry, Function &function, std::uint64_t &target_size, Failure &failure) {
  const auto old_address = reinterpret_cast<std::uintptr_t>(entry.old_func);
  const char *name = nullptr, *target_name = nullptr;
  target_size = symbol_size(entry.new_func, target_name);
  const std::uint64_t size = symbol_size(entry.old_func, name);
  char unnamed[32];
  std::snprintf(unnamed, sizeof unnamed, "%p", entry.old_func);
  if (name == nullptr) name = unnamed;
  if (!is_code(old_address) || !is_code(reinterpret_cast<std::uintptr_t>(entry.new_func))) {
    return fail(failure, Code::seed_patch_failed, 0, name, "fix_table names an address that is not code: %p for %s",
                entry.new_func, name);
  }
  function.entry = old_address;
  function.old_size = size;
  function.symbol = keep_text(name);
  Module module;
  find_module_of(old_address, module);
  char executable[4096];
  const ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
  executable[length > 0 ? length : 0] = '\0';
  function.module = keep_text(module.path[0] != '\0' ? module.path : executable);

  function.original_length =
      static_cast<std::uint32_t>(read_memory(old_address, function.original, sizeof function.original));
  const bool has_landing_pad =
      function.original_length >= sizeof arch::landing_pad &&
      std::memcmp(function.original, arch::landing_pad, sizeof arch::landing_pad) == 0;
  function.jump_offset = has_landing_pad ? sizeof arch::landing_pad : 0;
  function.boundaries = (1U << arch::jump_length) - 1;
  const std::size_t needed = function.jump_offset + arch::jump_length;
  function.entry_size = needed;
  if (function.original_length < needed ||
      (size != 0 && size < needed && !arch::is_padding(function.original + size, needed - size))) {
    return fail(failure, Code::entry_too_short, 0, name, "%s has %llu bytes; a jump needs %zu", name,
                static_cast<unsigned long long>(size), needed);
  }
  return true;
}

} // namespace hot_fix
