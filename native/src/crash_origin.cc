// From the crashed thread's registers outwards, by the unwind records of the system's libraries.
#include "crash_origin.h"

#include "call_frames.h"
#include "function_table.h"
#include "process.h"

#include <algorithm>
#include <cstdio>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr unsigned most_frames = 32;

bool is_patch_code(std::uintptr_t address) {
  const auto &patches = all_patches();
  return std::any_of(patches.begin(), patches.end(), [&](const Patch *patch) {
    return patch->state != Patch::unmapped && address >= patch->code_start && address < patch->code_end;
  });
}

/** Libraries that do what a program calls them for: libc, the loader, the libraries of the languages. */
bool is_system_library(const char *path) {
  constexpr const char *names[] = {"libc.so", "libc-", "ld-", "ld.so", "libm.so", "libm-", "libpthread", "libstdc++.so",
                                   "libc++", "libgcc_s"};
  const char *slash = std::strrchr(path, '/');
  const char *name = slash != nullptr ? slash + 1 : path;
  return std::any_of(names, names + sizeof names / sizeof *names,
                     [&](const char *known) { return std::strncmp(name, known, std::strlen(known)) == 0; });
}

FrameState crashed_frame(const Crash &crash, const MemoryMap &map) {
  FrameState frame{};
  frame.program_counter = arch::program_counter(crash.context);
  for (unsigned number = 0; number <= arch::last_unwind_register; number++) {
    frame.registers[number] = arch::dwarf_register(crash.context, number);
    frame.known |= std::uint32_t{1} << number;
  }
  // A call of an address that has no code: where it came from was pushed.
  const Mapping *code = map.find(frame.program_counter);
  std::uintptr_t &pointer = frame.registers[arch::stack_pointer_column];
  const bool is_code = code != nullptr && (code->protection & PROT_EXEC) != 0;
  std::uintptr_t caller;
  if (!is_code && read_memory(pointer, &caller, sizeof caller) == sizeof caller) {
    frame.program_counter = caller - 1; // in the call
    pointer += sizeof caller;
  }
  return frame;
}

} // namespace

void find_origin(const Crash &crash, Origin &origin) {
  origin = {};
  MemoryMap map;
  if (!map.read()) return;
  FrameState frame = crashed_frame(crash, map);
  for (unsigned i = 0; i < most_frames; i++) {
    const std::uintptr_t inside = frame.program_counter - (i == 0 ? 0 : 1);
    origin.is_patched = is_patch_code(inside);
    const Mapping *code = map.find(inside);
    if (origin.is_patched || code == nullptr) return;
    if (!is_system_library(code->path)) {
      std::snprintf(origin.module, sizeof origin.module, "%s", code->path);
      return;
    }
    std::uintptr_t function[2];
    if (step_frame(frame, i != 0, function) != FrameStep::caller) return;
  }
}

} // namespace hot_fix
