// Loading of generated patches (docs/PROTOCOL.md, section 4).
#include "loader.h"

#include "arch_x86_64.h"
#include "control_directory.h"
#include "frames.h"
#include "libraries.h"
#include "process.h"
#include "symbol_binding.h"
#include "unwind_records.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t page_mask = arch::page_size - 1;

void *at(std::uint64_t address) { return reinterpret_cast<void *>(address); }

/** What of the segment is mapped from the file: up to the end of the page in which its file part ends. */
std::uint64_t file_pages_end(const Segment &segment) {
  if (segment.file_size == 0) return segment.page_start();
  return (segment.address + segment.file_size + page_mask) & ~page_mask;
}

void unmap_segments(const PatchFile &file, std::size_t count) {
  for (std::size_t i = 0; i < count; i++) {
    const Segment &segment = file.segments[i];
    munmap(at(segment.page_start()), segment.page_end() - segment.page_start());
  }
}

/** Maps at exactly that place or not at all. Kernels before 4.17 take MAP_FIXED_NOREPLACE for a hint. */
bool map_at(std::uint64_t address, std::uint64_t length, int protection, int flags, int descriptor,
            std::uint64_t offset) {
  void *mapped = mmap(at(address), length, protection, flags | MAP_PRIVATE | MAP_FIXED_NOREPLACE, descriptor,
                      static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return false;
  if (mapped == at(address)) return true;
  munmap(mapped, length);
  errno = EEXIST;
  return false;
}

bool map_segment(const Segment &segment, int descriptor) {
  // Code is mapped executable from the start and is never writable; hardened systems forbid the change.
  const int protection = segment.executable ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE;
  const std::uint64_t start = segment.page_start(), file_end = file_pages_end(segment), end = segment.page_end();
  if (file_end > start &&
      !map_at(start, file_end - start, protection, 0, descriptor, segment.offset & ~page_mask)) {
    return false;
  }
  if (end > file_end && !map_at(file_end, end - file_end, protection, MAP_ANONYMOUS, -1, 0)) {
    const int error_number = errno;
    if (file_end > start) munmap(at(start), file_end - start);
    errno = error_number;
    return false;
  }
  // gABI: the bytes between file size and memory size are zero; the file's last page brings others along.
  const std::uint64_t data_end = segment.address + segment.file_size;
  if (segment.memory_size > segment.file_size && file_end > data_end && !segment.executable) {
    std::memset(at(data_end), 0, file_end - data_end);
  }
  return true;
}

bool map_segments(int descriptor, const char *path, const PatchFile &file, Failure &failure) {
  for (std::size_t i = 0; i < file.segment_count; i++) {
    if (map_segment(file.segments[i], descriptor)) continue;
    const int error_number = errno;
    unmap_segments(file, i);
    const auto address = static_cast<unsigned long>(file.segments[i].page_start());
    if (error_number == EEXIST) {
      return fail(failure, Code::address_taken, error_number, nullptr, "something is mapped at %#lx", address);
    }
    return fail(failure, Code::map_failed, error_number, nullptr, "mmap of %s at %#lx failed with errno %d", path,
                address, error_number);
  }
  return true;
}

/** FNV-1a over the file's loaded bytes. */
std::uint64_t content_of(const PatchFile &file) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t i = 0; i < file.segment_count; i++) {
    const auto *bytes = static_cast<const unsigned char *>(at(file.segments[i].address));
    for (std::uint64_t j = 0; j < file.segments[i].file_size; j++) hash = (hash ^ bytes[j]) * 0x100000001b3;
  }
  return hash;
}

/** The dynamic section (gABI chapter 5), with every table checked to lie in the patch. */
struct Dynamic {
  std::uint64_t symbols = 0, names = 0, names_size = 0;
  std::uint64_t relocations[2] = {}, relocations_size[2] = {}; // DT_RELA, DT_JMPREL
  std::uint64_t versions = 0, needed_versions = 0, needed_version_count = 0;
};

struct Relocation {
  const char *path;
  const PatchFile &file;
  const Module &module;
  Dynamic dynamic;
  SymbolScope scope;

  bool malformed(Failure &failure, const char *what) const {
    return fail(failure, Code::bad_patch_file, 0, nullptr, "%s: %s", path, what);
  }

  bool read_dynamic(Failure &failure) {
    const auto *entries = static_cast<const Elf64_Dyn *>(at(file.dynamic.address));
    const std::uint64_t count = file.dynamic.memory_size / sizeof(Elf64_Dyn);
    for (std::uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
      const std::uint64_t value = entries[i].d_un.d_val;
      switch (entries[i].d_tag) {
      case DT_SYMTAB:
        dynamic.symbols = value;
        break;
      case DT_STRTAB:
        dynamic.names = value;
        break;
      case DT_STRSZ:
        dynamic.names_size = value;
        break;
      case DT_RELA:
        dynamic.relocations[0] = value;
        break;
      case DT_RELASZ:
        dynamic.relocations_size[0] = value;
        break;
      case DT_JMPREL:
        dynamic.relocations[1] = value;
        break;
      case DT_PLTRELSZ:
        dynamic.relocations_size[1] = value;
        break;
      case DT_RELAENT:
        if (value != sizeof(Elf64_Rela)) return malformed(failure, "its relocations are malformed");
        break;
      case DT_SYMENT:
        if (value != sizeof(Elf64_Sym)) return malformed(failure, "its symbols are malformed");
        break;
      case DT_PLTREL:
        if (value != DT_RELA) return malformed(failure, "its PLT relocations are malformed");
        break;
      case DT_VERSYM:
        dynamic.versions = value;
        break;
      case DT_VERNEED:
        dynamic.needed_versions = value;
        break;
      case DT_VERNEEDNUM:
        dynamic.needed_version_count = value;
        break;
      case DT_REL:
      case DT_RELR:
      case DT_TEXTREL:
        return malformed(failure, "it uses a form of relocations that patches do not have");
      default:
        break;
      }
    }
    if (dynamic.names == 0) dynamic.names_size = 0; // without a table no name lies in it
    if (dynamic.names != 0) {
      if (dynamic.names_size == 0 || file.segment_of(dynamic.names, dynamic.names_size) == nullptr ||
          static_cast<const char *>(at(dynamic.names))[dynamic.names_size - 1] != '\0') {
        return malformed(failure, "its string table is malformed");
      }
    }
    for (int i = 0; i < 2; i++) {
      if (dynamic.relocations_size[i] == 0) continue;
      if (dynamic.relocations_size[i] % sizeof(Elf64_Rela) != 0 || (dynamic.relocations[i] & 7) != 0 ||
          file.segment_of(dynamic.relocations[i], dynamic.relocations_size[i]) == nullptr) {
        return malformed(failure, "its relocations lie outside of its segments");
      }
    }
    return true;
  }

  /** Checked at each use: a malformed relocation may have written into the string table. */
  bool read_name(std::uint64_t offset, const char *&name, Failure &failure) const {
    name = static_cast<const char *>(at(dynamic.names + offset));
    if (offset < dynamic.names_size && std::memchr(name, '\0', dynamic.names_size - offset) != nullptr) return true;
    return malformed(failure, "a symbol has no name");
  }

  bool load_libraries(Failure &failure) const {
    const auto *entries = static_cast<const Elf64_Dyn *>(at(file.dynamic.address));
    const std::uint64_t count = file.dynamic.memory_size / sizeof(Elf64_Dyn);
    for (std::uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
      const char *name = nullptr;
      if (entries[i].d_tag != DT_NEEDED) continue;
      if (!read_name(entries[i].d_un.d_val, name, failure)) return false;
      // To the loader, no name is the program's.
      if (name[0] == '\0') return malformed(failure, "it needs a library without a name");
      if (!load_library(name, failure)) return false;
    }
    return true;
  }

  bool read_symbol(std::uint32_t index, Elf64_Sym &symbol, const char *&name, Failure &failure) const {
    const std::uint64_t address = dynamic.symbols + std::uint64_t{index} * sizeof symbol;
    if (dynamic.symbols == 0 || file.segment_of(address, sizeof symbol) == nullptr) {
      return malformed(failure, "a relocation names a symbol outside of its symbol table");
    }
    std::memcpy(&symbol, at(address), sizeof symbol);
    return read_name(symbol.st_name, name, failure);
  }

  /** The version that the symbol needs (GNU symbol versioning, LSB core specification 10.7), or null. */
  bool read_version(std::uint32_t index, const char *&version, Failure &failure) const {
    version = nullptr;
    if (dynamic.versions == 0 || dynamic.needed_versions == 0) return true;
    const std::uint64_t entry = dynamic.versions + std::uint64_t{index} * sizeof(Elf64_Half);
    if (file.segment_of(entry, sizeof(Elf64_Half)) == nullptr) {
      return malformed(failure, "its version table is malformed");
    }
    Elf64_Half wanted;
    std::memcpy(&wanted, at(entry), sizeof wanted);
    wanted &= 0x7fff;
    if (wanted <= VER_NDX_GLOBAL) return true;
    std::uint64_t need_at = dynamic.needed_versions;
    for (std::uint64_t i = 0; i < dynamic.needed_version_count; i++) {
      Elf64_Verneed need;
      if (file.segment_of(need_at, sizeof need) == nullptr) break;
      std::memcpy(&need, at(need_at), sizeof need);
      std::uint64_t auxiliary_at = need_at + need.vn_aux;
      for (unsigned j = 0; j < need.vn_cnt; j++) {
        Elf64_Vernaux auxiliary;
        if (file.segment_of(auxiliary_at, sizeof auxiliary) == nullptr) break;
        std::memcpy(&auxiliary, at(auxiliary_at), sizeof auxiliary);
        if (auxiliary.vna_other == wanted) {
          if (!read_name(auxiliary.vna_name, version, failure)) return false;
          // The process's loader ends the process when it is asked for such a version.
          return version[0] != '\0' || malformed(failure, "a symbol needs a version without a name");
        }
        if (auxiliary.vna_next == 0) break;
        auxiliary_at += auxiliary.vna_next;
      }
      if (need.vn_next == 0) break;
      need_at += need.vn_next;
    }
    return malformed(failure, "a symbol needs a version that is not listed");
  }

  bool symbol_address(const Elf64_Rela &entry, std::uint64_t &address, Failure &failure) {
    Elf64_Sym symbol;
    const char *name = nullptr, *version = nullptr;
    const auto index = static_cast<std::uint32_t>(ELF64_R_SYM(entry.r_info));
    if (!read_symbol(index, symbol, name, failure)) return false;
    if (symbol.st_shndx != SHN_UNDEF) {
      address = symbol.st_value;
      return true;
    }
    const bool weak = ELF64_ST_BIND(symbol.st_info) == STB_WEAK;
    return read_version(index, version, failure) && scope.bind(name, version, weak, address, failure);
  }

  /** Module id, offset and (in this thread) address of the thread-local place that the relocation names. */
  bool thread_local_place(const Elf64_Rela &entry, ThreadLocalSymbol &place, Failure &failure) {
    const auto index = static_cast<std::uint32_t>(ELF64_R_SYM(entry.r_info));
    if (index == 0) {
      place = {module.tls_module_id, 0, module.tls_block};
      return place.module_id != 0 || malformed(failure, "it refers to TLS of a module that has none");
    }
    Elf64_Sym symbol;
    const char *name = nullptr;
    return read_symbol(index, symbol, name, failure) && scope.bind_thread_local(name, place, failure);
  }

  bool apply(const Elf64_Rela &entry, Failure &failure) {
    const Segment *segment = file.segment_of(entry.r_offset, sizeof(std::uint64_t));
    if (segment == nullptr || segment->executable) {
      return malformed(failure, "a relocation lies outside of its data");
    }
    const auto addend = static_cast<std::uint64_t>(entry.r_addend);
    std::uint64_t value = 0;
    ThreadLocalSymbol place{};
    switch (arch::relocation(static_cast<unsigned>(ELF64_R_TYPE(entry.r_info)))) {
    case arch::Relocation::none:
      return true;
    case arch::Relocation::relative: // to the base, which is 0
      value = addend;
      break;
    case arch::Relocation::absolute:
      if (!symbol_address(entry, value, failure)) return false;
      value += addend;
      break;
    case arch::Relocation::slot:
      if (!symbol_address(entry, value, failure)) return false;
      break;
    case arch::Relocation::module:
      if (!thread_local_place(entry, place, failure)) return false;
      value = place.module_id;
      break;
    case arch::Relocation::module_offset:
      if (!thread_local_place(entry, place, failure)) return false;
      value = place.offset + addend;
      break;
    case arch::Relocation::thread_offset:
      if (!thread_local_place(entry, place, failure)) return false;
      if (place.tls_block == 0 || !thread_pointer_offset(place.tls_block, value)) {
        return fail(failure, Code::unsupported_relocation, 0, nullptr,
                    "%s: it needs static TLS in a module whose TLS is dynamic", path);
      }
      value += place.offset + addend;
      break;
    case arch::Relocation::unknown:
      return fail(failure, Code::bad_patch_file, 0, nullptr, "%s: relocation type %u is none that patches have", path,
                  static_cast<unsigned>(ELF64_R_TYPE(entry.r_info)));
    }
    std::memcpy(at(entry.r_offset), &value, sizeof value);
    return true;
  }

  bool run(Failure &failure) {
    if (file.dynamic.memory_size == 0) return true;
    if ((file.dynamic.address & 7) != 0) return malformed(failure, "its dynamic section is misaligned");
    if (!read_dynamic(failure) || !load_libraries(failure)) return false;
    for (int i = 0; i < 2; i++) {
      for (std::uint64_t offset = 0; offset < dynamic.relocations_size[i]; offset += sizeof(Elf64_Rela)) {
        Elf64_Rela entry;
        std::memcpy(&entry, at(dynamic.relocations[i] + offset), sizeof entry);
        if (!apply(entry, failure)) return false;
      }
    }
    return true;
  }
};

bool protect_segments(const PatchFile &file, const char *path, Failure &failure) {
  for (std::size_t i = 0; i < file.segment_count; i++) {
    const Segment &segment = file.segments[i];
    if (segment.executable || segment.writable) continue;
    if (mprotect(at(segment.page_start()), segment.page_end() - segment.page_start(), PROT_READ) != 0) {
      return fail(failure, Code::mprotect_failed, errno, nullptr, "%s: mprotect of its data failed with errno %d", path,
                  errno);
    }
  }
  // Only whole pages: what shares a page with data that stays writable stays writable too.
  const Segment &relro = file.read_only_after_relocation;
  const std::uint64_t start = (relro.address + page_mask) & ~page_mask;
  const std::uint64_t end = (relro.address + relro.memory_size) & ~page_mask;
  if (relro.memory_size != 0 && end > start && mprotect(at(start), end - start, PROT_READ) != 0) {
    return fail(failure, Code::mprotect_failed, errno, nullptr, "%s: mprotect of its data failed with errno %d", path,
                errno);
  }
  return true;
}

} // namespace

bool load_patch(const char *path, LoadedPatch &patch, Module &module, LoadTimes &times, Failure &failure) {
  patch = LoadedPatch{};
  const std::uint64_t begin = monotonic_microseconds();
  const int descriptor = open_patch(path, Code::bad_patch_file, failure);
  if (descriptor < 0) return false;
  const bool readable = read_patch_headers(descriptor, path, patch.file, failure);
  const std::uint64_t headers_read = monotonic_microseconds();
  const bool mapped = readable && map_segments(descriptor, path, patch.file, failure);
  times.read += headers_read - begin;
  if (!mapped) {
    close(descriptor);
    return false;
  }

  const auto loaded = [&]() {
    if (!read_patch_note(patch.file, path, patch.note, failure)) return false;
    if (!check_eh_frame(patch.file, patch.note, path, failure)) return false;
    const char *module_path = static_cast<const char *>(at(patch.note.module_path));
    if (!find_module(patch.note.module_bias, patch.note.build_id, patch.note.build_id_length, module_path, module,
                     failure)) {
      return false;
    }
    patch.content = content_of(patch.file);
    const std::uint64_t checked = monotonic_microseconds();
    times.load += checked - headers_read;
    Relocation relocation{path, patch.file, module, {}, SymbolScope(module)};
    if (!relocation.run(failure) || !protect_segments(patch.file, path, failure)) return false;
    // Once more: from here on the tables are relied on, and a malformed relocation may have written into them.
    if (!read_patch_note(patch.file, path, patch.note, failure)) return false;
    if (!check_eh_frame(patch.file, patch.note, path, failure)) return false;
    times.relocate += monotonic_microseconds() - checked;
    return true;
  };
  const bool complete = loaded();
  patch.only_versions = complete && holds_only_versions(descriptor, patch.file, patch.note);
  close(descriptor);
  if (!complete) {
    unmap_segments(patch.file, patch.file.segment_count);
    return false;
  }
  patch.frames_registered = patch.note.eh_frame != 0 && register_frames(patch.note.eh_frame);
  return true;
}

void unload_patch(LoadedPatch &patch) {
  if (patch.frames_registered) deregister_frames(patch.note.eh_frame);
  patch.frames_registered = false;
  unmap_segments(patch.file, patch.file.segment_count);
}

} // namespace hot_fix
