// The modules of the process, from dl_iterate_phdr.
#include "module.h"

#include "arch_x86_64.h"

#include <cstring>
#include <elf.h>
#include <link.h>

#include "poison.h"

namespace hot_fix {
namespace {

/** The module's build id (PT_NOTE, name GNU, type NT_GNU_BUILD_ID), or null. */
const std::uint8_t *build_id_of(const dl_phdr_info &info, std::size_t &length) {
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto *notes = reinterpret_cast<const std::uint8_t *>(info.dlpi_addr + segment.p_vaddr);
    const std::size_t padding = segment.p_align == 8 ? 7 : 3; // gABI: notes are aligned as their segment
    for (std::size_t at = 0; at + sizeof(ElfW(Nhdr)) <= segment.p_memsz;) {
      ElfW(Nhdr) note;
      std::memcpy(&note, notes + at, sizeof note);
      const std::size_t name = at + sizeof note;
      const std::size_t descriptor = (name + note.n_namesz + padding) & ~padding;
      if (descriptor + note.n_descsz > segment.p_memsz) break;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes + name, "GNU", 4) == 0) {
        length = note.n_descsz;
        return notes + descriptor;
      }
      at = (descriptor + note.n_descsz + padding) & ~padding;
    }
  }
  length = 0;
  return nullptr;
}

void describe(const dl_phdr_info &info, Module &module) {
  module = Module{};
  module.bias = info.dlpi_addr;
  module.path = info.dlpi_name != nullptr ? info.dlpi_name : "";
  module.tls_module_id = info.dlpi_tls_modid;
  module.tls_block = reinterpret_cast<std::uintptr_t>(info.dlpi_tls_data);
  module.build_id = build_id_of(info, module.build_id_length);
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    if (module.code_count == sizeof module.code / sizeof *module.code) break;
    const std::uintptr_t start = info.dlpi_addr + segment.p_vaddr;
    // Up to the end of its last page: the padding behind the last function belongs to it.
    const std::uintptr_t end = (start + segment.p_memsz + arch::page_size - 1) & ~(arch::page_size - 1);
    module.code[module.code_count++] = {start, end};
  }
}

struct ByIdentity {
  std::uintptr_t bias;
  const std::uint8_t *build_id;
  std::size_t build_id_length;
  Module *module;
  bool bias_found;
};

int match_identity(dl_phdr_info *info, std::size_t, void *data) {
  auto &wanted = *static_cast<ByIdentity *>(data);
  if (info->dlpi_addr != wanted.bias) return 0;
  wanted.bias_found = true;
  std::size_t length = 0;
  const std::uint8_t *build_id = build_id_of(*info, length);
  if (length != wanted.build_id_length) return 0;
  if (length != 0 && std::memcmp(build_id, wanted.build_id, length) != 0) return 0;
  describe(*info, *wanted.module);
  return 1;
}

struct ByAddress {
  std::uintptr_t address;
  Module *module;
};

int match_address(dl_phdr_info *info, std::size_t, void *data) {
  auto &wanted = *static_cast<ByAddress *>(data);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) &segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD) continue;
    if (wanted.address - (info->dlpi_addr + segment.p_vaddr) >= segment.p_memsz) continue;
    describe(*info, *wanted.module);
    return 1;
  }
  return 0;
}

struct ByThreadLocal {
  const char *name;
  ThreadLocalSymbol *symbol;
};

/** Calls `visit` with each dynamic symbol that the module defines and its name, until that returns true. */
template <class Visit> bool any_symbol(const dl_phdr_info &info, Visit visit) {
  const ElfW(Dyn) *dynamic = nullptr;
  for (int i = 0; i < info.dlpi_phnum; i++) {
    if (info.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    dynamic = reinterpret_cast<const ElfW(Dyn) *>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr);
  }
  const ElfW(Sym) *symbols = nullptr;
  const char *names = nullptr;
  const std::uint32_t *hash = nullptr;
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; dynamic++) {
    // glibc has added the load bias to these in memory.
    if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym) *>(dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRTAB) names = reinterpret_cast<const char *>(dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_GNU_HASH) hash = reinterpret_cast<const std::uint32_t *>(dynamic->d_un.d_ptr);
  }
  if (symbols == nullptr || names == nullptr || hash == nullptr) return false;
  // DT_GNU_HASH: nbuckets, symoffset, bloom_size, bloom_shift, bloom[] (64 bit), buckets[], chain[].
  const std::uint32_t bucket_count = hash[0], first = hash[1], bloom_size = hash[2];
  const std::uint32_t *buckets = hash + 4 + bloom_size * 2;
  const std::uint32_t *chain = buckets + bucket_count;
  for (std::uint32_t bucket = 0; bucket < bucket_count; bucket++) {
    for (std::uint32_t index = buckets[bucket]; index >= first && index != 0; index++) {
      if (symbols[index].st_shndx != SHN_UNDEF && visit(symbols[index], names + symbols[index].st_name)) return true;
      if ((chain[index - first] & 1) != 0) break; // the last of its bucket
    }
  }
  return false;
}

int match_thread_local(dl_phdr_info *info, std::size_t, void *data) {
  auto &wanted = *static_cast<ByThreadLocal *>(data);
  if (info->dlpi_tls_modid == 0) return 0;
  return any_symbol(*info, [&](const ElfW(Sym) &symbol, const char *name) {
    if (ELF64_ST_TYPE(symbol.st_info) != STT_TLS || std::strcmp(name, wanted.name) != 0) return false;
    *wanted.symbol = {info->dlpi_tls_modid, symbol.st_value, reinterpret_cast<std::uintptr_t>(info->dlpi_tls_data)};
    return true;
  });
}

struct InLoader {
  const char *name;
  void (*visit)(std::uintptr_t start, std::uintptr_t end);
};

int match_loader(dl_phdr_info *info, std::size_t, void *data) {
  const auto &wanted = *static_cast<const InLoader *>(data);
  const char *slash = info->dlpi_name != nullptr ? std::strrchr(info->dlpi_name, '/') : nullptr;
  if (slash == nullptr || std::strncmp(slash, "/ld", 3) != 0) return 0;
  return any_symbol(*info, [&](const ElfW(Sym) &symbol, const char *name) {
    if (std::strcmp(name, wanted.name) != 0) return false;
    const std::uintptr_t start = info->dlpi_addr + symbol.st_value;
    wanted.visit(start, start + symbol.st_size);
    return true;
  });
}

} // namespace

bool Module::has_code(std::uintptr_t address, std::size_t length) const {
  for (std::size_t i = 0; i < code_count; i++) {
    if (address >= code[i].start && address < code[i].end && length <= code[i].end - address) return true;
  }
  return false;
}

bool find_module(std::uintptr_t bias, const std::uint8_t *build_id, std::size_t build_id_length, const char *path,
                 Module &module, Failure &failure) {
  ByIdentity wanted{bias, build_id, build_id_length, &module, false};
  if (dl_iterate_phdr(match_identity, &wanted) != 0) return true;
  if (wanted.bias_found) {
    return fail(failure, Code::wrong_module, 0, nullptr, "the patch was made for another build of %s", path);
  }
  return fail(failure, Code::wrong_module, 0, nullptr, "%s is not loaded at %#lx in this process", path,
              static_cast<unsigned long>(bias));
}

bool find_module_of(std::uintptr_t address, Module &module) {
  ByAddress wanted{address, &module};
  return dl_iterate_phdr(match_address, &wanted) != 0;
}

bool find_thread_local(const char *name, ThreadLocalSymbol &symbol) {
  ByThreadLocal wanted{name, &symbol};
  return dl_iterate_phdr(match_thread_local, &wanted) != 0;
}

void visit_loader_variable(const char *name, void (*visit)(std::uintptr_t start, std::uintptr_t end)) {
  InLoader wanted{name, visit};
  dl_iterate_phdr(match_loader, &wanted);
}

} // namespace hot_fix
