// The loader's list (struct r_debug and struct link_map, <link.h>) and symbol lookup by .gnu.hash.
#include "modules.h"

#include "proc_files.h"
#include "remote_memory.h"

#include <elf.h>
#include <link.h>

namespace hot_fix {
namespace {

constexpr unsigned most_modules = 4096;
constexpr unsigned most_program_headers = 64;

/** An address of a dynamic section: relocated by the loader, but for modules whose section is read-only. */
std::uint64_t relocated(std::uint64_t value, std::uint64_t bias) { return value < bias ? value + bias : value; }

std::uint32_t gnu_hash(const char *name) {
  std::uint32_t hash = 5381;
  for (; *name != '\0'; name++) hash = hash * 33 + static_cast<unsigned char>(*name);
  return hash;
}

/** AT_PHDR and AT_PHNUM of the auxiliary vector (getauxval(3)). */
bool read_program_headers(int pid, std::uint64_t &address, unsigned &count) {
  Buffer text;
  if (!read_process_file(pid, 0, "auxv", text)) return false;
  address = 0;
  for (std::size_t at = 0; at + sizeof(Elf64_auxv_t) <= text.size(); at += sizeof(Elf64_auxv_t)) {
    Elf64_auxv_t entry;
    std::memcpy(&entry, text.begin() + at, sizeof entry);
    if (entry.a_type == AT_PHDR) address = entry.a_un.a_val;
    if (entry.a_type == AT_PHNUM) count = static_cast<unsigned>(entry.a_un.a_val);
  }
  return address != 0 && count <= most_program_headers;
}

} // namespace

bool is_named(const char *path, const char *name) {
  const char *slash = std::strrchr(path, '/');
  return std::strncmp(slash != nullptr ? slash + 1 : path, name, std::strlen(name)) == 0;
}

bool Modules::add(std::uint64_t bias, std::uint64_t program_headers, unsigned count, std::uint64_t dynamic,
                  const char *name) {
  Elf64_Phdr headers[most_program_headers];
  if (count > most_program_headers || !read_remote(pid_, program_headers, headers, count * sizeof *headers)) {
    return false;
  }
  Module module{};
  module.bias = bias;
  module.start = ~std::uint64_t{0};
  for (unsigned i = 0; i < count; i++) {
    const std::uint64_t start = bias + headers[i].p_vaddr, end = start + headers[i].p_memsz;
    if (headers[i].p_type == PT_DYNAMIC && dynamic == 0) dynamic = start;
    if (headers[i].p_type == PT_TLS) thread_local_size_ += headers[i].p_memsz + headers[i].p_align;
    if (headers[i].p_type != PT_LOAD) continue;
    if (start < module.start) module.start = start;
    if (end > module.end) module.end = end;
    if ((headers[i].p_flags & PF_X) != 0 && module.text_end == 0) {
      module.text_start = start;
      module.text_end = end;
    }
  }
  std::strncpy(module.name, name, sizeof module.name - 1);
  for (std::uint64_t at = dynamic; at != 0; at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    if (!read_remote(pid_, at, entry) || entry.d_tag == DT_NULL) break;
    const std::uint64_t address = relocated(entry.d_un.d_ptr, bias);
    if (entry.d_tag == DT_SYMTAB) module.symbols = address;
    if (entry.d_tag == DT_STRTAB) module.strings = address;
    if (entry.d_tag == DT_GNU_HASH) module.hash = address;
    if (entry.d_tag == DT_VERSYM) module.versions = address;
  }
  return modules_.add(module);
}

bool Modules::read(int pid) {
  pid_ = pid;
  modules_.clear();
  thread_local_size_ = 0;
  std::uint64_t headers_at = 0;
  unsigned count = 0;
  if (!read_program_headers(pid, headers_at, count)) return false;
  Elf64_Phdr headers[most_program_headers];
  if (!read_remote(pid, headers_at, headers, count * sizeof *headers)) return false;
  std::uint64_t bias = 0, dynamic = 0;
  for (unsigned i = 0; i < count; i++) {
    if (headers[i].p_type == PT_PHDR) bias = headers_at - headers[i].p_vaddr;
    if (headers[i].p_type == PT_DYNAMIC) dynamic = headers[i].p_vaddr;
  }
  if (dynamic == 0) return false;
  std::uint64_t debug = 0;
  for (std::uint64_t at = bias + dynamic;; at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    if (!read_remote(pid, at, entry) || entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_DEBUG) debug = entry.d_un.d_ptr;
  }
  r_debug list;
  // The loader fills it in when everything is mapped; until then there is nothing to call.
  if (debug == 0 || !read_remote(pid, debug, list) || list.r_map == nullptr) return false;
  list_ = debug;
  if (!add(bias, headers_at, count, bias + dynamic, "")) return false;
  link_map map;
  if (!read_remote(pid, reinterpret_cast<std::uint64_t>(list.r_map), map)) return false;
  for (unsigned i = 0; map.l_next != nullptr && i < most_modules; i++) {
    if (!read_remote(pid, reinterpret_cast<std::uint64_t>(map.l_next), map)) return false;
    char name[sizeof Module::name] = "";
    read_remote_text(pid, reinterpret_cast<std::uint64_t>(map.l_name), name, sizeof name);
    Elf64_Ehdr header;
    // One that is linked at an address of its own has its header elsewhere; it is not searched.
    if (!read_remote(pid, map.l_addr, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) continue;
    add(map.l_addr, map.l_addr + header.e_phoff, header.e_phnum, reinterpret_cast<std::uint64_t>(map.l_ld), name);
  }
  return true;
}

bool Modules::is_changing() const {
  r_debug list;
  return !read_remote(pid_, list_, list) || list.r_state != r_debug::RT_CONSISTENT;
}

std::uint64_t Modules::find_in(const Module &module, const char *symbol) const {
  if (module.hash == 0 || module.symbols == 0 || module.strings == 0) return 0;
  // "ELF: better symbol lookup via DT_GNU_HASH": buckets, first symbol, words of the filter, its shift.
  std::uint32_t header[4];
  if (!read_remote(pid_, module.hash, header) || header[0] == 0 || header[2] == 0) return 0;
  const std::uint32_t hash = gnu_hash(symbol);
  std::uint64_t filter = 0;
  const std::uint64_t filter_at = module.hash + sizeof header;
  if (!read_remote(pid_, filter_at + hash / 64 % header[2] * 8, filter)) return 0;
  if ((filter >> hash % 64 & filter >> (hash >> header[3]) % 64 & 1) == 0) return 0;
  const std::uint64_t buckets = filter_at + std::uint64_t{header[2]} * 8;
  std::uint32_t index = 0;
  if (!read_remote(pid_, buckets + std::uint64_t{hash % header[0]} * 4, index) || index < header[1]) return 0;
  std::uint64_t hidden = 0; // a version that only old programs are bound to
  for (;; index++) {
    std::uint32_t link = 0;
    if (!read_remote(pid_, buckets + std::uint64_t{header[0]} * 4 + std::uint64_t{index - header[1]} * 4, link)) break;
    Elf64_Sym entry;
    char name[64];
    if ((link | 1) == (hash | 1) && read_remote(pid_, module.symbols + std::uint64_t{index} * sizeof entry, entry) &&
        entry.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(entry.st_info) == STT_FUNC &&
        read_remote_text(pid_, module.strings + entry.st_name, name, sizeof name) && std::strcmp(name, symbol) == 0) {
      std::uint16_t version = 1;
      if (module.versions != 0) read_remote(pid_, module.versions + std::uint64_t{index} * 2, version);
      if ((version & 0x8000) == 0) return module.bias + entry.st_value;
      hidden = module.bias + entry.st_value;
    }
    if ((link & 1) != 0) break;
  }
  return hidden;
}

std::uint64_t Modules::find(const char *symbol, const Module **module) const {
  for (const Module &candidate : modules_) {
    const std::uint64_t address = find_in(candidate, symbol);
    if (address == 0) continue;
    if (module != nullptr) *module = &candidate;
    return address;
  }
  return 0;
}

const Module *Modules::at(std::uint64_t address) const {
  for (const Module &module : modules_) {
    if (address >= module.start && address < module.end) return &module;
  }
  return nullptr;
}

void Modules::mark_unsafe(std::uint64_t address) {
  for (Module &module : modules_) {
    if (address >= module.start && address < module.end) module.unsafe = true;
  }
}

} // namespace hot_fix
