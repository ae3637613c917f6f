// A generated patch file (docs/PROTOCOL.md, section 4): its structures, and the checks that every field passes
// before anything relies on it. Knows the file and its mapped bytes; maps and changes nothing.
#pragma once

#include "failure.h"
#include "memory.h"

#include <cstdint>
#include <elf.h>

namespace hot_fix {

struct PatchNote {
  std::uint32_t format;
  std::uint32_t fix_size;
  std::uint64_t module_bias;
  std::uint64_t module_path;
  std::uint8_t build_id[32];
  std::uint32_t build_id_length;
  std::uint32_t fix_count;
  std::uint64_t fixes;
  std::uint64_t guards;
  std::uint32_t guard_count;
  std::uint32_t flags;
  std::uint64_t eh_frame;
  std::uint64_t eh_frame_size;
  std::uint64_t objects;
  std::uint64_t dso_handle;
  std::uint32_t object_count;
  std::uint32_t reserved;
};
static_assert(sizeof(PatchNote) == 128);

/** PatchNote::flags: something outside may hold addresses in the patch, so it is never unmapped. */
inline constexpr std::uint32_t permanent = 1;

struct PatchFix {
  std::uint64_t entry;
  std::uint64_t entry_size;
  std::uint64_t target;
  std::uint64_t target_size;
  std::uint64_t name;
  std::uint32_t jump_offset;
  std::uint32_t boundaries;
  std::uint8_t original[16];
  std::uint32_t original_length;
  std::uint32_t old_size;
  std::uint32_t body_offset; // of the function from the target; before it stands code that keeps registers
  std::uint32_t preserved;   // the registers that it keeps, for the engine
};
static_assert(sizeof(PatchFix) == 80);

struct PatchGuard {
  std::uint64_t start, length, name;
};
static_assert(sizeof(PatchGuard) == 24);

/** A new object that has to be constructed before anything uses it. */
struct PatchObject {
  std::uint64_t construct; // void (*)(void *); 0: nothing to call
  std::uint64_t argument;  // of both
  std::uint64_t destroy;   // the same, for __cxa_atexit; 0: nothing, or `construct` registers it itself
  std::uint64_t name;
};
static_assert(sizeof(PatchObject) == 32);

struct Segment {
  std::uint64_t address, memory_size;
  std::uint64_t offset, file_size;
  bool writable, executable;

  std::uint64_t page_start() const;
  std::uint64_t page_end() const;
};

struct PatchFile {
  static constexpr std::size_t most_segments = 16;
  std::uint64_t size;
  Segment segments[most_segments];
  std::size_t segment_count;
  Segment note, dynamic, read_only_after_relocation; // memory_size 0: there is none

  /** Whether the range lies inside one segment. */
  const Segment *segment_of(std::uint64_t address, std::uint64_t length) const;
  /** Whether a NUL-terminated text of less than 4096 bytes begins there. Needs the file mapped at its place. */
  bool has_text(std::uint64_t address) const;
};

/** Reads and checks the ELF header and the program headers (gABI, chapters 4 and 5). */
bool read_patch_headers(int descriptor, const char *path, PatchFile &file, Failure &failure);

/** Checks the note and its tables, once the file is mapped, and copies the note. */
bool read_patch_note(const PatchFile &file, const char *path, PatchNote &note, Failure &failure);

/** Whether the patch, which is mapped, consists of new versions of functions and nothing else: no constants, data or
 * further functions, whose addresses the process (or a later patch) may hold anywhere. By the file's sections and
 * symbols (gABI, chapter 4); no when they are missing. */
bool holds_only_versions(int descriptor, const PatchFile &file, const PatchNote &note);

} // namespace hot_fix
