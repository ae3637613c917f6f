// The records of patches and functions, and the lock-free lookup by trampoline address.
#include "function_table.h"

#include "control_directory.h"
#include "process.h"

#include <algorithm>
#include <cstdio>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t bucket_count = 1024;
constexpr std::ptrdiff_t most_unmapped = 64; // that can be gone back to
std::atomic<Function *> buckets[bucket_count];

// Constant-initialised, and never destroyed: the worker runs on while the process exits.
union Lists {
  struct {
    List<Function *> functions;
    List<Patch *> patches, free_patches;
    List<Version *> free_versions;
    unsigned ids;
  } of;
  constexpr Lists() : of{} {}
  ~Lists() {}
};
Lists lists;

std::atomic<Function *> &bucket_of(std::uintptr_t address) { return buckets[(address ^ address >> 10) % bucket_count]; }

} // namespace

void Function::entry_bytes(Form of, const Version &version, std::uint8_t (&bytes)[arch::jump_length]) const {
  if (of == Form::original) {
    std::memcpy(bytes, original + jump_offset, sizeof bytes);
  } else {
    arch::encode_jump(trampoline(), of == Form::island ? island->address : version.address, bytes);
  }
}

List<Function *> &all_functions() { return lists.of.functions; }
List<Patch *> &all_patches() { return lists.of.patches; }

Function *find_function(std::uintptr_t entry) {
  for (Function *function : all_functions()) {
    if (function->entry == entry) return function;
  }
  return nullptr;
}

Function *find_trampoline(std::uintptr_t address) {
  Function *function = bucket_of(address).load(std::memory_order_acquire);
  while (function != nullptr && function->trampoline() != address) {
    function = function->next_in_bucket.load(std::memory_order_acquire);
  }
  return function;
}

bool add_function(Function *function) {
  if (!all_functions().add(function)) return false;
  std::atomic<Function *> &bucket = bucket_of(function->trampoline());
  function->next_in_bucket.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
  bucket.store(function, std::memory_order_release);
  return true;
}

bool add_patch(Patch *patch) {
  patch->id = next_patch_id();
  lists.of.ids++;
  return all_patches().add(patch);
}

unsigned next_patch_id() { return lists.of.ids + 1; }

namespace {

template <class T> T *take(List<T *> &free) {
  if (free.empty()) return new_record<T>();
  T *record = free[free.size() - 1];
  free.shrink(free.size() - 1);
  return record;
}

} // namespace

Patch *new_patch(Patch::Kind kind, const char *file) {
  Patch *patch = take(lists.of.free_patches);
  if (patch == nullptr) return nullptr;
  DebuggerEntry *debugger = patch->debugger;
  *patch = Patch{};
  patch->debugger = debugger;
  patch->kind = kind;
  patch->state = Patch::superseded;
  const bool has_room = std::strlen(file) < sizeof patch->file_room;
  patch->file = has_room ? std::strcpy(patch->file_room, file) : keep_text(file);
  patch->loaded_at = unix_milliseconds();
  return patch;
}

void release_patch(Patch *patch) { lists.of.free_patches.add(patch); }

Version *new_version() {
  Version *version = take(lists.of.free_versions);
  if (version != nullptr) *version = Version{};
  return version;
}

void release_version(Version *version) { lists.of.free_versions.add(version); }

namespace {

/** Whether some function runs a version of it, or counts on from one. */
bool is_needed(const Patch &patch) {
  return std::any_of(all_functions().begin(), all_functions().end(), [&](const Function *function) {
    const Version *last = &function->versions;
    while (last->next != nullptr) last = last->next;
    return last->patch == &patch || function->current->patch == &patch;
  });
}

void forget_versions(const Patch &patch) {
  for (Function *function : all_functions()) {
    for (Version *before = &function->versions; before->next != nullptr;) {
      Version *version = before->next;
      if (version->patch != &patch) {
        before = version;
        continue;
      }
      before->next = version->next;
      release_version(version);
    }
  }
}

/** Its file is needed by nobody, unless another patch was made of the same. */
void remove_file(const Patch &patch) {
  const bool is_shared = std::any_of(all_patches().begin(), all_patches().end(), [&](const Patch *other) {
    return other != &patch && std::strcmp(other->file, patch.file) == 0;
  });
  if (!is_shared) remove_patch_file(patch.file);
}

} // namespace

void forget_old_patches() {
  List<Patch *> &patches = all_patches();
  const auto is_unmapped = [](const Patch *patch) { return patch->state == Patch::unmapped; };
  std::ptrdiff_t surplus = std::count_if(patches.begin(), patches.end(), is_unmapped) - most_unmapped;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < patches.size(); i++) {
    Patch *patch = patches[i];
    if (surplus > 0 && is_unmapped(patch) && !is_needed(*patch)) {
      surplus--;
      remove_file(*patch);
      forget_versions(*patch);
      release_patch(patch);
    } else {
      patches[kept++] = patch;
    }
  }
  patches.shrink(kept);
}

Version *find_version(Function &function, unsigned number) {
  Version *version = &function.versions;
  while (version != nullptr && version->number != number) version = version->next;
  return version;
}

void update_patch_states() {
  for (Patch *patch : all_patches()) {
    if (patch->state == Patch::live) patch->state = Patch::superseded;
  }
  for (Function *function : all_functions()) {
    Patch *patch = function->current->patch;
    if (patch != nullptr) patch->state = Patch::live;
  }
}

} // namespace hot_fix
