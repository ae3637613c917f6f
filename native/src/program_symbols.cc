// The program's own symbol table (gABI, chapter 4), read from the file that the kernel started.
#include "program_symbols.h"

#include "arch_x86_64.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

/** The bytes of a file while this exists; nothing when it cannot be read. */
class MappedFile {
public:
  explicit MappedFile(const char *path) {
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat status {};
    if (fstat(descriptor, &status) == 0 && status.st_size > 0) {
      void *pages = mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (pages != MAP_FAILED) {
        bytes_ = static_cast<const char *>(pages);
        size_ = static_cast<std::size_t>(status.st_size);
      }
    }
    close(descriptor);
  }
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile() {
    if (bytes_ != nullptr) munmap(const_cast<char *>(bytes_), size_);
  }

  /** `count` items at an offset; null when they are not all in the file. */
  template <class Item> const Item *at(std::uint64_t offset, std::uint64_t count) const {
    if (offset > size_ || count > (size_ - offset) / sizeof(Item) || offset % alignof(Item) != 0) return nullptr;
    return reinterpret_cast<const Item *>(bytes_ + offset);
  }

private:
  const char *bytes_ = nullptr;
  std::size_t size_ = 0;
};

/** The value of the symbol in the table, 0 when it is not there. */
std::uint64_t find_in_table(const MappedFile &file, const Elf64_Shdr &table, const Elf64_Shdr &names, const char *name) {
  const std::uint64_t count = table.sh_size / sizeof(Elf64_Sym);
  const auto *symbols = file.at<Elf64_Sym>(table.sh_offset, count);
  const auto *texts = file.at<char>(names.sh_offset, names.sh_size);
  if (symbols == nullptr || texts == nullptr) return 0;
  const std::size_t length = std::strlen(name) + 1;
  // sh_info: the index of the first symbol that is not local.
  for (std::uint64_t i = table.sh_info; i < count; i++) {
    const Elf64_Sym &symbol = symbols[i];
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (symbol.st_name > names.sh_size || names.sh_size - symbol.st_name < length) continue;
    if (std::memcmp(texts + symbol.st_name, name, length) == 0) return symbol.st_value;
  }
  return 0;
}

} // namespace

std::uintptr_t find_in_program(const char *name) {
  if (void *exported = dlsym(RTLD_DEFAULT, name)) return reinterpret_cast<std::uintptr_t>(exported);
  const MappedFile file("/proc/self/exe");
  const auto *header = file.at<Elf64_Ehdr>(0, 1);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return 0;
  // A program that was started through the loader (`ld.so PROGRAM`) has that for its file.
  const std::uint64_t entry = getauxval(AT_ENTRY);
  if (header->e_machine != arch::elf_machine || (entry - header->e_entry) % arch::page_size != 0) return 0;
  const auto *sections = file.at<Elf64_Shdr>(header->e_shoff, header->e_shnum);
  for (std::size_t i = 0; sections != nullptr && i < header->e_shnum; i++) {
    if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum) continue;
    const std::uint64_t value = find_in_table(file, sections[i], sections[sections[i].sh_link], name);
    if (value != 0) return value + (entry - header->e_entry);
  }
  return 0;
}

} // namespace hot_fix
