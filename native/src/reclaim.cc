// Reclaiming superseded patches.
//
// A patch may go when none of its code is current or is an entry itself, it holds no writable data, every thread
// was seen blocked, twice, with nothing of the patch in its registers' place or on its stack, and no word of the
// process's writable memory points into it: a string constant or a function of the patch may have been stored
// anywhere.
#include "reclaim.h"

#include "debugger.h"
#include "fork.h"
#include "process.h"
#include "stack_scan.h"

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t scan_patience = 20000; // microseconds
constexpr unsigned grace = 10000;
constexpr std::size_t search_pages = 64; // read at once
constexpr std::size_t most_memory = std::size_t{256} << 20; // to search; in a larger process patches stay

bool is_candidate(const Patch &patch) {
  if (patch.kind != Patch::generated || patch.state != Patch::superseded) return false;
  if ((patch.loaded.note.flags & holds_writable_data) != 0) return false;
  // An entry inside it: a function that it added was patched in turn, and its trampoline is there.
  return std::none_of(all_functions().begin(), all_functions().end(), [&](const Function *function) {
    return function->entry - patch.base < patch.length;
  });
}

/** Removes the ranges of patches in which a thread is, or may be. */
bool keep_quiet_ones(List<CodeRange> &patches) {
  if (!scan_stacks(patches, scan_patience)) return false;
  for (std::size_t i = 0; i < patches.size();) {
    if (patches[i].hits != 0 || patches[i].unsure) {
      patches.remove(i);
    } else {
      i++;
    }
  }
  return !patches.empty();
}

/** Removes the ranges that words in [start, end) point into. */
void keep_unreferenced(List<CodeRange> &patches, const std::uintptr_t *words, std::size_t count) {
  for (std::size_t i = 0; i < patches.size();) {
    const auto &loaded = static_cast<const Patch *>(patches[i].owner)->loaded;
    const bool referenced = std::any_of(words, words + count, [&](std::uintptr_t word) {
      // The unwinder keeps pointers to the frames, which are taken from it first.
      const bool in_frames = word - loaded.note.eh_frame < loaded.note.eh_frame_size;
      return word >= patches[i].start && word < patches[i].end && !in_frames;
    });
    if (referenced) {
      patches.remove(i);
    } else {
      i++;
    }
  }
}

bool is_searched(const Mapping &mapping) {
  if ((mapping.protection & PROT_READ) == 0) return false;
  if ((mapping.protection & PROT_WRITE) != 0) return true;
  // What is read-only in other patches was written when they were relocated.
  return std::any_of(all_patches().begin(), all_patches().end(), [&](const Patch *patch) {
    return patch->state != Patch::unmapped && mapping.start - patch->base < patch->length;
  });
}

bool is_inside(const List<CodeRange> &patches, const Mapping &mapping) {
  return std::any_of(patches.begin(), patches.end(), [&](const CodeRange &patch) {
    return mapping.start >= patch.start && mapping.end <= patch.end;
  });
}

/** Whether the pages may hold pointers: memory that was never touched does not. */
bool is_in_use(const Mapping &mapping, std::uintptr_t start, std::size_t length) {
  unsigned char resident[search_pages];
  if (mapping.path[0] == '/') return true;
  // It fails for what is no ordinary memory.
  if (mincore(reinterpret_cast<void *>(start), length, resident) != 0) return true;
  return std::any_of(resident, resident + length / arch::page_size,
                     [](unsigned char state) { return (state & 1) != 0; });
}

bool search_memory(List<CodeRange> &patches) {
  MemoryMap map;
  List<std::uintptr_t> words;
  constexpr std::size_t page_words = arch::page_size / sizeof(std::uintptr_t);
  if (!map.read() || !words.reserve(search_pages * page_words)) return false;
  std::size_t searched = 0;
  for (const Mapping &mapping : map.mappings()) {
    if (!is_searched(mapping) || is_inside(patches, mapping)) continue;
    for (std::uintptr_t at = mapping.start; at < mapping.end && !patches.empty();) {
      const std::size_t length = std::min<std::size_t>(search_pages * arch::page_size, mapping.end - at);
      if (is_in_use(mapping, at, length)) {
        const std::size_t count = read_memory(at, words.begin(), length) / sizeof(std::uintptr_t);
        // Page by page: the kernel joins our own memory with that of others into one mapping.
        for (std::size_t i = 0; i < count; i += page_words) {
          if (is_own_memory(at + i * sizeof(std::uintptr_t))) continue;
          keep_unreferenced(patches, words.begin() + i, std::min(page_words, count - i));
        }
        searched += length;
      }
      if (searched > most_memory) return false;
      at += length;
    }
  }
  return !patches.empty();
}

} // namespace

bool reclaim_patches() {
  List<CodeRange> patches;
  for (Patch *patch : all_patches()) {
    if (!is_candidate(*patch)) continue;
    if (!patches.add({patch->base, patch->base + patch->length, patch, 0, 0, false})) return false;
  }
  if (patches.empty() || !keep_quiet_ones(patches)) return false;
  pause_microseconds(grace);
  if (!keep_quiet_ones(patches) || !search_memory(patches)) return false;
  const NoFork no_fork;
  for (const CodeRange &range : patches) {
    Patch &patch = *static_cast<Patch *>(range.owner);
    withdraw_from_debugger(patch);
    unload_patch(patch.loaded);
    patch.state = Patch::unmapped;
    patch.active_threads = 0;
  }
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
