// Reclaiming superseded patches.
//
// A patch may go when it consists of superseded versions of functions and nothing else, none of them is an entry
// itself, every thread was seen blocked, twice, with nothing of the patch on its stack or at its program counter, and
// no word of the process's writable memory points into it. Other patches may also refer to it from their code,
// relative to the place of the reference. A patch with constants stays: the process may hold a pointer to a string
// anywhere, also in a register that nobody can read.
//
// A thread that never sleeps shows nothing by itself. When several patches have piled up because of such threads, each of
// them is parked for a moment (parking.h). That is rare, since the signal may end a system call that the thread has just
// begun. It is not done under a debugger, which may stop at the signal, nor where a thread's sandbox may end it for
// the handler's system calls.
#include "reclaim.h"

#include "debugger.h"
#include "fork.h"
#include "parking.h"
#include "process.h"
#include "stack_scan.h"

#include <algorithm>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t scan_patience = 20000; // microseconds
constexpr unsigned grace = 10000;
constexpr std::size_t piled_up = 8; // patches, for which running threads are parked
std::size_t left; // patches that stayed when they were last parked: others have to pile up before that is done again
constexpr std::size_t search_pages = 64; // read at once
constexpr std::size_t most_memory = std::size_t{256} << 20; // to search; in a larger process patches stay

bool is_candidate(const Patch &patch) {
  if (patch.kind != Patch::generated || patch.state != Patch::superseded) return false;
  if (!patch.loaded.only_versions) return false;
  // An entry inside it: a function that it added was patched in turn, and its trampoline is there.
  return std::none_of(all_functions().begin(), all_functions().end(), [&](const Function *function) {
    return function->entry - patch.base < patch.length;
  });
}

/** Removes the ranges of patches in which a thread is, or may be. */
bool keep_quiet_ones(List<CodeRange> &patches, LookAtRunning look_at_running) {
  if (!scan_stacks(patches, scan_patience, Words::any, look_at_running)) return false;
  patches.remove_if([](const CodeRange &patch) { return patch.hits != 0 || patch.unsure || patch.mentioned; });
  return !patches.empty();
}

/** Removes the ranges that a word points into. */
void keep_unreferenced(List<CodeRange> &patches, const std::uintptr_t *words, std::size_t count) {
  patches.remove_if([&](const CodeRange &patch) {
    return std::any_of(words, words + count, [&](std::uintptr_t word) { return patch.counts(word); });
  });
}

/** Removes the ranges that code at `address` may refer to: as a 32-bit address, or as a 32-bit distance from the end
 * of the instruction, behind which up to four bytes of an immediate operand may stand. */
void keep_unreferenced_by_code(List<CodeRange> &patches, std::uintptr_t address, const std::uint8_t *bytes,
                               std::size_t length) {
  patches.remove_if([&](const CodeRange &patch) {
    for (std::size_t i = 0; i + sizeof(std::uint32_t) <= length; i++) {
      std::uint32_t value;
      std::memcpy(&value, bytes + i, sizeof value);
      const auto distance = static_cast<std::uintptr_t>(static_cast<std::int32_t>(value));
      const std::uintptr_t target = address + i + sizeof value + distance;
      if (target + 4 >= patch.start && target < patch.end) return true;
      if (value >= patch.start && value < patch.end) return true;
    }
    return false;
  });
}

/** What is mapped of the program and can be written, or belongs to a hand-written patch. */
bool is_searched(const Mapping &mapping) {
  if ((mapping.protection & PROT_READ) == 0) return false;
  if ((mapping.protection & PROT_WRITE) != 0) return true;
  return std::any_of(all_patches().begin(), all_patches().end(), [&](const Patch *patch) {
    return patch->kind == Patch::fix_table && mapping.start - patch->base < patch->length;
  });
}

/** Searches the segments of the generated patches that stay: code, and what was written into them when they were
 * relocated. Not whole pages, which hold the rest of the file besides. False when they cannot be read. */
bool search_patches(List<CodeRange> &patches) {
  Buffer copy;
  for (const Patch *patch : all_patches()) {
    if (patch->kind != Patch::generated || patch->state == Patch::unmapped) continue;
    const auto is_it = [&](const CodeRange &range) { return range.owner == patch; };
    if (std::any_of(patches.begin(), patches.end(), is_it)) continue;
    const PatchFile &file = patch->loaded.file;
    for (std::size_t i = 0; i < file.segment_count; i++) {
      const Segment &segment = file.segments[i];
      const std::uint64_t start = segment.executable ? segment.address : (segment.address + 7) & ~std::uint64_t{7};
      const std::uint64_t end = segment.address + segment.memory_size;
      if (start >= end) continue;
      if (!copy.reserve(end - start) || read_memory(start, copy.begin(), end - start) != end - start) return false;
      if (segment.executable) {
        keep_unreferenced_by_code(patches, start, reinterpret_cast<const std::uint8_t *>(copy.begin()), end - start);
      } else {
        keep_unreferenced(patches, reinterpret_cast<const std::uintptr_t *>(copy.begin()),
                          (end - start) / sizeof(std::uintptr_t));
      }
    }
  }
  return true;
}

bool is_inside(const List<CodeRange> &patches, const Mapping &mapping) {
  return std::any_of(patches.begin(), patches.end(), [&](const CodeRange &patch) {
    return mapping.start >= patch.start && mapping.end <= patch.end;
  });
}

/** Searches one mapping; adds the bytes that were read. False when they cannot be. */
bool search_mapping(List<CodeRange> &patches, const PagesInUse &pages, const Mapping &mapping,
                    List<std::uintptr_t> &words, std::size_t &searched) {
  const bool is_code = (mapping.protection & PROT_EXEC) != 0 && (mapping.protection & PROT_WRITE) == 0;
  if (!is_code && !pages.can_walk(mapping.end - mapping.start)) return false;
  for (std::uintptr_t at = mapping.start; at < mapping.end && !patches.empty();) {
    // Memory that was never touched holds no pointers.
    const PagesInUse::Run run = is_code ? PagesInUse::Run{at, mapping.end} : pages.next(at, mapping.end);
    for (at = run.start; at < run.end;) {
      const std::size_t length = std::min<std::size_t>(search_pages * arch::page_size, run.end - at);
      if (read_memory(at, words.begin(), length) != length) return false;
      if (is_code) {
        keep_unreferenced_by_code(patches, at, reinterpret_cast<const std::uint8_t *>(words.begin()), length);
      } else {
        // Page by page: the kernel joins our own memory with that of others into one mapping.
        for (std::size_t page = 0; page < length; page += arch::page_size) {
          if (is_own_memory(at + page)) continue;
          keep_unreferenced(patches, words.begin() + page / sizeof(std::uintptr_t),
                            arch::page_size / sizeof(std::uintptr_t));
        }
        searched += length;
        if (searched > most_memory) return false;
      }
      at += length;
    }
  }
  return true;
}

/** Searches once, leaving out the patches that are to go: false when that cannot be done completely. */
bool search_memory(List<CodeRange> &patches) {
  MemoryMap map;
  List<std::uintptr_t> words;
  if (!map.read() || !words.reserve(search_pages * arch::page_size / sizeof(std::uintptr_t))) return false;
  const PagesInUse pages;
  std::size_t searched = 0;
  return std::all_of(map.mappings().begin(), map.mappings().end(), [&](const Mapping &mapping) {
    if (!is_searched(mapping) || is_inside(patches, mapping)) return true;
    return search_mapping(patches, pages, mapping, words, searched);
  });
}

/** Removes the ranges that anything refers to, among it patches that turned out to stay. */
bool keep_unneeded_ones(List<CodeRange> &patches) {
  for (std::size_t before = 0; before != patches.size();) {
    before = patches.size();
    if (!search_patches(patches) || !search_memory(patches)) return false;
  }
  return !patches.empty();
}

} // namespace

bool reclaim_patches() {
  List<CodeRange> patches;
  for (Patch *patch : all_patches()) {
    if (!is_candidate(*patch)) continue;
    const PatchNote &note = patch->loaded.note;
    const std::uintptr_t end = patch->base + patch->length;
    if (!patches.add({patch->base, end, patch, 0, 0, false, false, note.eh_frame, note.eh_frame_size})) return false;
  }
  if (patches.empty()) return false;
  const bool parks = patches.size() >= left + piled_up && tracer() == 0 && find_sandboxed_thread() == 0;
  const LookAtRunning look_at_running = parks ? count_running : nullptr;
  if (parks) left = patches.size(); // unless they go
  if (!keep_quiet_ones(patches, look_at_running)) return false;
  pause_microseconds(grace);
  if (!keep_quiet_ones(patches, look_at_running) || !keep_unneeded_ones(patches)) return false;
  const NoFork no_fork;
  left = parks ? left - patches.size() : 0;
  for (const CodeRange &range : patches) {
    Patch &patch = *static_cast<Patch *>(range.owner);
    withdraw_from_debugger(patch);
    unload_patch(patch.loaded);
    patch.state = Patch::unmapped;
    patch.active_threads = 0;
  }
  forget_old_patches();
  return true;
}

bool restore_patch(Patch &patch, Failure &failure) {
  LoadedPatch loaded;
  Module module;
  LoadTimes times{};
  if (!load_patch(patch.file, loaded, module, times, failure)) return false;
  if (loaded.content != patch.loaded.content || loaded.base() != patch.base || loaded.length() != patch.length) {
    unload_patch(loaded);
    return fail(failure, Code::unknown_version, 0, nullptr, "%s is no longer the file that was loaded", patch.file);
  }
  patch.loaded = loaded;
  patch.state = Patch::superseded;
  announce_to_debugger(patch, patch.file);
  return true;
}

} // namespace hot_fix
