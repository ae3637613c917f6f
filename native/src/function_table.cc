// The records of patches and functions, and the lock-free lookup by trampoline address.
#include "function_table.h"

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t bucket_count = 1024;
std::atomic<Function *> buckets[bucket_count];

// Constant-initialised, and never destroyed: the worker runs on while the process exits.
union Lists {
  struct {
    List<Function *> functions;
    List<Patch *> patches;
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

bool add_patch(Patch *patch) { return all_patches().add(patch); }

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
