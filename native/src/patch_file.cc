// The checks of a generated patch file. Everything that a later step dereferences is established here: headers by
// reading, tables in the mapped bytes.
#include "patch_file.h"

#include "arch_x86_64.h"

#include <cerrno>
#include <sys/stat.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t page_mask = arch::page_size - 1;
constexpr std::uint64_t lowest_address = 0x10000;                            // vm.mmap_min_addr
constexpr std::uint64_t highest_address = 0x7fffffffffff - arch::page_size; // the user half
constexpr std::uint64_t most_bytes = 1U << 30;
constexpr std::uint32_t patch_format = 2;
constexpr std::uint32_t most_fixes = 1U << 20;

bool malformed(Failure &failure, const char *path, const char *what) {
  return fail(failure, Code::bad_patch_file, 0, nullptr, "%s: %s", path, what);
}

bool read_at(int descriptor, void *to, std::size_t length, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < length) {
    const ssize_t count =
        pread(descriptor, static_cast<char *>(to) + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

} // namespace

std::uint64_t Segment::page_start() const { return address & ~page_mask; }
std::uint64_t Segment::page_end() const { return (address + memory_size + page_mask) & ~page_mask; }

const Segment *PatchFile::segment_of(std::uint64_t address, std::uint64_t length) const {
  for (std::size_t i = 0; i < segment_count; i++) {
    const Segment &segment = segments[i];
    const std::uint64_t offset = address - segment.address;
    if (address >= segment.address && offset < segment.memory_size && length <= segment.memory_size - offset) {
      return &segment;
    }
  }
  return nullptr;
}

bool PatchFile::has_text(std::uint64_t address) const {
  const Segment *segment = segment_of(address, 1);
  if (segment == nullptr) return false;
  std::uint64_t room = segment->address + segment->memory_size - address;
  if (room > 4096) room = 4096;
  return std::memchr(reinterpret_cast<const void *>(address), '\0', room) != nullptr;
}

bool read_patch_headers(int descriptor, const char *path, PatchFile &file, Failure &failure) {
  file = PatchFile{};
  struct stat status {};
  if (fstat(descriptor, &status) != 0) return malformed(failure, path, "cannot be examined");
  if (!S_ISREG(status.st_mode)) return malformed(failure, path, "not a regular file");
  file.size = static_cast<std::uint64_t>(status.st_size);

  Elf64_Ehdr header;
  if (!read_at(descriptor, &header, sizeof header, 0)) return malformed(failure, path, "too short for an ELF file");
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN || header.e_machine != arch::elf_machine) {
    return malformed(failure, path, "not a shared object for this architecture");
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > 64) {
    return malformed(failure, path, "its program headers are malformed");
  }
  Elf64_Phdr headers[64];
  if (header.e_phoff > file.size ||
      !read_at(descriptor, headers, header.e_phnum * sizeof(Elf64_Phdr), header.e_phoff)) {
    return malformed(failure, path, "its program headers are beyond its end");
  }

  std::uint64_t mapped_to = 0, total = 0;
  for (int i = 0; i < header.e_phnum; i++) {
    const Elf64_Phdr &from = headers[i];
    const Segment segment{from.p_vaddr,  from.p_memsz,             from.p_offset,
                          from.p_filesz, (from.p_flags & PF_W) != 0, (from.p_flags & PF_X) != 0};
    const bool has_place = from.p_filesz <= from.p_memsz && from.p_vaddr >= lowest_address &&
                           from.p_vaddr <= highest_address && from.p_memsz <= highest_address - from.p_vaddr;
    if (from.p_type == PT_LOAD) {
      if (from.p_memsz == 0) continue;
      if (!has_place || from.p_offset > file.size || from.p_filesz > file.size - from.p_offset) {
        return malformed(failure, path, "a segment is beyond the end of the file or of the address space");
      }
      if ((from.p_vaddr & page_mask) != (from.p_offset & page_mask)) {
        return malformed(failure, path, "a segment is not aligned with its place in the file");
      }
      if (segment.writable && segment.executable) {
        return malformed(failure, path, "a segment is writable and executable");
      }
      if (segment.page_start() < mapped_to) return malformed(failure, path, "segments overlap or are out of order");
      if (file.segment_count == PatchFile::most_segments) return malformed(failure, path, "too many segments");
      mapped_to = segment.page_end();
      total += mapped_to - segment.page_start();
      if (total > most_bytes) return malformed(failure, path, "its segments are too large");
      file.segments[file.segment_count++] = segment;
    }
  }
  if (file.segment_count == 0) return malformed(failure, path, "it has no segments");
  for (int i = 0; i < header.e_phnum; i++) {
    const Elf64_Phdr &from = headers[i];
    Segment *place = from.p_type == PT_DYNAMIC                                                     ? &file.dynamic
                     : from.p_type == PT_GNU_RELRO                                                 ? &file.read_only_after_relocation
                     : from.p_type == PT_NOTE && file.note.memory_size == 0 && from.p_filesz != 0 ? &file.note
                                                                                                   : nullptr;
    if (place == nullptr || from.p_memsz == 0) continue;
    if (file.segment_of(from.p_vaddr, from.p_memsz) == nullptr) {
      return malformed(failure, path, "a table lies outside of the segments");
    }
    *place = {from.p_vaddr, from.p_memsz, from.p_offset, from.p_filesz, false, false};
  }
  if (file.note.memory_size == 0) return malformed(failure, path, "it has no note: it is not a patch");
  return true;
}

bool read_patch_note(const PatchFile &file, const char *path, PatchNote &note, Failure &failure) {
  const auto *notes = reinterpret_cast<const char *>(file.note.address);
  bool found = false;
  for (std::uint64_t at = 0; !found && at + sizeof(Elf64_Nhdr) <= file.note.memory_size;) {
    Elf64_Nhdr header;
    std::memcpy(&header, notes + at, sizeof header);
    const std::uint64_t name = at + sizeof header;
    const std::uint64_t descriptor = name + ((std::uint64_t{header.n_namesz} + 3) & ~3ULL);
    if (descriptor + header.n_descsz > file.note.memory_size) break;
    if (header.n_type == 1 && header.n_namesz == sizeof "hot_fix" &&
        std::memcmp(notes + name, "hot_fix", sizeof "hot_fix") == 0 && header.n_descsz >= sizeof note.format) {
      // Another format may be of another length, and is named below.
      note = PatchNote{};
      std::memcpy(&note, notes + descriptor, header.n_descsz < sizeof note ? header.n_descsz : sizeof note);
      found = true;
    }
    at = descriptor + ((std::uint64_t{header.n_descsz} + 3) & ~3ULL);
  }
  if (!found) return malformed(failure, path, "it has no hot_fix note: it is not a patch");
  if (note.format != patch_format || note.fix_size != sizeof(PatchFix)) {
    return fail(failure, Code::protocol_mismatch, 0, nullptr, "%s is of patch format %u; this runtime reads format %u",
                path, note.format, patch_format);
  }
  if (note.build_id_length > sizeof note.build_id || !file.has_text(note.module_path)) {
    return malformed(failure, path, "its note does not name a module");
  }
  if (note.fix_count > most_fixes || note.guard_count > most_fixes || (note.fixes & 7) != 0 || (note.guards & 7) != 0 ||
      (note.fix_count != 0 && file.segment_of(note.fixes, note.fix_count * sizeof(PatchFix)) == nullptr) ||
      (note.guard_count != 0 && file.segment_of(note.guards, note.guard_count * sizeof(PatchGuard)) == nullptr)) {
    return malformed(failure, path, "its tables lie outside of its segments");
  }

  const auto *fixes = reinterpret_cast<const PatchFix *>(note.fixes);
  for (std::uint32_t i = 0; i < note.fix_count; i++) {
    const PatchFix &fix = fixes[i];
    if (!file.has_text(fix.name)) return malformed(failure, path, "a function has no name");
    const char *name = reinterpret_cast<const char *>(fix.name);
    const Segment *code = file.segment_of(fix.target, fix.target_size != 0 ? fix.target_size : 1);
    if (code == nullptr || !code->executable) {
      return fail(failure, Code::bad_patch_file, 0, name, "%s: the new %s lies outside of its code", path, name);
    }
    if (fix.body_offset != 0 && fix.body_offset >= fix.target_size) {
      return fail(failure, Code::bad_patch_file, 0, name, "%s: the code of %s lies outside of its range", path, name);
    }
    if (fix.jump_offset > 8 || (fix.boundaries & 1) == 0 || fix.original_length > sizeof fix.original ||
        fix.original_length < fix.jump_offset + arch::jump_length || fix.entry < lowest_address ||
        fix.entry > highest_address) {
      return fail(failure, Code::bad_patch_file, 0, name, "%s: the entry of %s is malformed", path, name);
    }
    if (fix.entry_size < fix.jump_offset + arch::jump_length) {
      return fail(failure, Code::entry_too_short, 0, name, "%s has %llu bytes; a jump needs %zu", name,
                  static_cast<unsigned long long>(fix.entry_size), fix.jump_offset + arch::jump_length);
    }
  }
  const auto *guards = reinterpret_cast<const PatchGuard *>(note.guards);
  for (std::uint32_t i = 0; i < note.guard_count; i++) {
    if (!file.has_text(guards[i].name) || guards[i].length > highest_address ||
        guards[i].start > highest_address - guards[i].length) {
      return malformed(failure, path, "a guarded range is malformed");
    }
  }
  if (note.object_count > most_fixes || (note.objects & 7) != 0 ||
      (note.object_count != 0 && file.segment_of(note.objects, note.object_count * sizeof(PatchObject)) == nullptr)) {
    return malformed(failure, path, "its table of objects lies outside of its segments");
  }
  const auto *objects = reinterpret_cast<const PatchObject *>(note.objects);
  for (std::uint32_t i = 0; i < note.object_count; i++) {
    if (!file.has_text(objects[i].name)) return malformed(failure, path, "an object has no name");
  }
  return true;
}

namespace {

/** Reads a table of the file into the buffer, with a NUL behind it that is not counted. */
bool read_table(int descriptor, std::uint64_t file_size, std::uint64_t offset, std::uint64_t length, Buffer &table) {
  if (offset > file_size || length > file_size - offset || !table.reserve(length + 1)) return false;
  if (!read_at(descriptor, table.begin(), length, offset)) return false;
  table.begin()[length] = '\0';
  table.shrink(length);
  return true;
}

bool begins_with(const char *text, const char *beginning) {
  return std::strncmp(text, beginning, std::strlen(beginning)) == 0;
}

/** Loaded sections that hold code, or that only linking and unwinding know. */
bool is_anonymous_section(const char *name) {
  static constexpr const char *known[] = {".text", ".plt",     ".got",          ".dyn",  ".rela.",       ".gnu.",
                                          ".hash", ".note",    ".gcc_except_table", ".eh_frame", ".hot_fix"};
  for (const char *beginning : known) {
    if (begins_with(name, beginning)) return true;
  }
  return false;
}

bool is_version(const PatchNote &note, std::uint64_t address) {
  const auto *fixes = reinterpret_cast<const PatchFix *>(note.fixes);
  for (std::uint32_t i = 0; i < note.fix_count; i++) {
    if (fixes[i].target == address || fixes[i].target + fixes[i].body_offset == address) return true;
  }
  return false;
}

bool has_only_versions(const Buffer &symbols, const Buffer &names, const PatchNote &note) {
  for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, symbols.begin() + at, sizeof symbol);
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (symbol.st_name >= names.size()) return false;
    // Nothing but its own function refers to the unlikely part that the compiler split off.
    const bool is_cold_part = std::strstr(names.begin() + symbol.st_name, ".cold") != nullptr;
    if (!is_cold_part && !is_version(note, symbol.st_value)) return false;
  }
  return true;
}

} // namespace

bool holds_only_versions(int descriptor, const PatchFile &file, const PatchNote &note) {
  Elf64_Ehdr header;
  Buffer sections, names, symbols, symbol_names;
  if ((note.flags & permanent) != 0 || !read_at(descriptor, &header, sizeof header, 0)) return false;
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 || header.e_shstrndx >= header.e_shnum ||
      !read_table(descriptor, file.size, header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr), sections)) {
    return false;
  }
  const auto section_at = [&](std::size_t index) {
    Elf64_Shdr section;
    std::memcpy(&section, sections.begin() + index * sizeof section, sizeof section);
    return section;
  };
  const auto read_section = [&](const Elf64_Shdr &section, Buffer &table) {
    return read_table(descriptor, file.size, section.sh_offset, section.sh_size, table);
  };
  if (!read_section(section_at(header.e_shstrndx), names)) return false;
  bool has_symbols = false;
  for (std::size_t i = 0; i < header.e_shnum; i++) {
    const Elf64_Shdr section = section_at(i);
    if (section.sh_name >= names.size()) return false;
    const bool is_loaded = (section.sh_flags & SHF_ALLOC) != 0 && section.sh_size != 0;
    if (is_loaded && !is_anonymous_section(names.begin() + section.sh_name)) return false;
    if (section.sh_type != SHT_SYMTAB) continue;
    if (section.sh_link >= header.e_shnum || !read_section(section, symbols)) return false;
    if (!read_section(section_at(section.sh_link), symbol_names)) return false;
    has_symbols = has_only_versions(symbols, symbol_names, note);
  }
  return has_symbols;
}

} // namespace hot_fix
