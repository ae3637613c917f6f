// Loads a generated patch at the place it was linked for: maps its segments from the file, binds and relocates it,
// sets the final protections, registers its exception frames. Redirects nothing: until something jumps into it, a
// loaded patch is only memory.
#pragma once

#include "failure.h"
#include "module.h"
#include "patch_file.h"

#include <cstdint>

namespace hot_fix {

struct LoadTimes {
  std::uint64_t read, load, relocate; // microseconds
};

struct LoadedPatch {
  PatchFile file;
  PatchNote note;
  std::uint64_t content; // of the loaded bytes of the file: tells whether a file is still the one that was loaded
  bool frames_registered;
  bool only_versions; // see holds_only_versions
  bool constructed;   // code of its own has run for its objects

  std::uint64_t base() const { return file.segments[0].page_start(); }
  std::uint64_t length() const { return file.segments[file.segment_count - 1].page_end() - base(); }
};

/** All or nothing: when it fails, nothing of the patch is left in memory. `module` is the one it belongs to. */
bool load_patch(const char *path, LoadedPatch &patch, Module &module, LoadTimes &times, Failure &failure);

/** Takes the patch out of memory. Nothing may run in it or refer to it any more. */
void unload_patch(LoadedPatch &patch);

} // namespace hot_fix
