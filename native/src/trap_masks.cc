// What the modules import and contain, from the loader's list; what the threads block, from /proc.
#include "trap_masks.h"

#include "arch_x86_64.h"
#include "memory.h"
#include "signal_mask.h"
#include "threads.h"
#include "user_code.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "poison.h"

namespace hot_fix {
namespace {

/** Of libc, and not interposed: each can set a mask that the caller made. */
constexpr const char *mask_setters[] = {"ppoll",      "__ppoll_chk",  "__ppoll64_chk", "pselect",
                                        "epoll_pwait", "epoll_pwait2", "sigsuspend",    "setcontext",
                                        "swapcontext", "sigblock",     "sigsetmask",    "sighold",
                                        "sigset",      "sigpause",     "pthread_attr_setsigmask_np"};

/** Interposed, unless the runtime was loaded after libc. */
constexpr const char *interposed[] = {"pthread_sigmask", "sigprocmask", "sigaction"};

template <std::size_t N> bool is_one_of(const char *const (&names)[N], const char *name) {
  return std::any_of(names, names + N, [&](const char *known) { return std::strcmp(known, name) == 0; });
}

struct Module {
  const ElfW(Sym) *symbols;
  const char *names;
  std::size_t undefined_count; // the symbols before the hashed ones
};

/** What the loader has of the module's symbols; false for one that it does not bind, a static program. */
bool read_symbols(const dl_phdr_info &info, Module &module) {
  const ElfW(Dyn) *dynamic = nullptr;
  for (int i = 0; i < info.dlpi_phnum; i++) {
    if (info.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    dynamic = reinterpret_cast<const ElfW(Dyn) *>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr);
  }
  const std::uint32_t *gnu_hash = nullptr, *hash = nullptr;
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; dynamic++) {
    // glibc has added the load bias in memory, musl has not.
    const std::uintptr_t value = dynamic->d_un.d_ptr;
    const std::uintptr_t address = value < info.dlpi_addr ? value + info.dlpi_addr : value;
    if (dynamic->d_tag == DT_SYMTAB) module.symbols = reinterpret_cast<const ElfW(Sym) *>(address);
    if (dynamic->d_tag == DT_STRTAB) module.names = reinterpret_cast<const char *>(address);
    if (dynamic->d_tag == DT_GNU_HASH) gnu_hash = reinterpret_cast<const std::uint32_t *>(address);
    if (dynamic->d_tag == DT_HASH) hash = reinterpret_cast<const std::uint32_t *>(address);
  }
  // DT_GNU_HASH: its second word is the index of the first symbol that it has; all undefined ones are before.
  // DT_HASH: its second word is the number of symbols.
  if (gnu_hash != nullptr) module.undefined_count = gnu_hash[1];
  if (gnu_hash == nullptr && hash != nullptr) module.undefined_count = hash[1];
  return module.symbols != nullptr && module.names != nullptr && (gnu_hash != nullptr || hash != nullptr);
}

/** Whether the code has the number of rt_sigprocmask as the first argument of a call, or in front of a system call. */
bool has_raw_call(const dl_phdr_info &info, bool imports_syscall) {
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const ElfW(Phdr) &segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    const auto *code = reinterpret_cast<const std::uint8_t *>(info.dlpi_addr + segment.p_vaddr);
    if (arch::may_set_signal_mask(code, segment.p_memsz, imports_syscall)) return true;
  }
  return false;
}

struct Search {
  bool interposed;
  bool found;
  unsigned long long generation;
};

int look_into(dl_phdr_info *info, std::size_t, void *data) {
  auto &search = *static_cast<Search *>(data);
  search.generation = info->dlpi_adds;
  if (is_part_of_libc(info->dlpi_addr + info->dlpi_phdr[0].p_vaddr) || info->dlpi_addr == getauxval(AT_SYSINFO_EHDR)) {
    return 0;
  }
  Module module{};
  bool imports_syscall = false;
  if (!read_symbols(*info, module)) {
    search.found = true;
    return 1;
  }
  for (std::size_t i = 1; i < module.undefined_count; i++) {
    const ElfW(Sym) &symbol = module.symbols[i];
    if (symbol.st_shndx != SHN_UNDEF) continue;
    const char *name = module.names + symbol.st_name;
    if (std::strcmp(name, "syscall") == 0) imports_syscall = true;
    if (is_one_of(mask_setters, name) || (is_one_of(interposed, name) && !search.interposed)) search.found = true;
  }
  search.found = search.found || has_raw_call(*info, imports_syscall);
  return search.found ? 1 : 0;
}

int read_generation(dl_phdr_info *info, std::size_t, void *data) {
  static_cast<Search *>(data)->generation = info->dlpi_adds;
  return 1;
}

} // namespace

bool can_block_trap() {
  static Search last{false, false, 0};
  Search now{false, false, 0};
  dl_iterate_phdr(read_generation, &now);
  if (now.generation == last.generation) return last.found;
  last = {is_interposed(), false, 0};
  dl_iterate_phdr(look_into, &last);
  last.generation = now.generation;
  return last.found;
}

bool is_trap_blocked() {
  List<int> threads;
  if (!list_threads(threads)) return true;
  return std::any_of(threads.begin(), threads.end(),
                     [](int tid) { return blocks_signal(tid, SIGTRAP) && may_run_user_code(tid); });
}

} // namespace hot_fix
