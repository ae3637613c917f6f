// The commands of the protocol (docs/PROTOCOL.md, section 2), one function each.
#include "commands.h"

#include "debugger.h"
#include "fork.h"
#include "function_table.h"
#include "held_threads.h"
#include "hook_calls.h"
#include "loader.h"
#include "migration.h"
#include "objects.h"
#include "process.h"
#include "reclaim.h"
#include "seed_patch.h"
#include "sync_points.h"
#include "transaction.h"

#include <algorithm>
#include <dlfcn.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uint64_t status_patience = 50000; // microseconds, for an exact count
constexpr std::uint64_t answer_patience = 2000;  // the same after a change: somebody waits

bool no_memory(Failure &failure) {
  return fail(failure, Code::out_of_memory, 0, nullptr, "the runtime could not get memory");
}

/** What a transaction is made of, while it is being put together. */
struct Plan {
  List<Change> changes;
  List<Guard> guards;
  List<Patch *> patches; // loaded for it
};

/** The function with the entry of `found`; a new record, equal to it, when there is none. */
Function *function_for(const Function &found, Failure &failure) {
  Function *known = find_function(found.entry);
  if (known != nullptr && known->listed) {
    const std::size_t length = std::min(known->original_length, found.original_length);
    if (known->jump_offset == found.jump_offset && std::memcmp(known->original, found.original, length) == 0) {
      return known;
    }
    fail(failure, Code::original_differs, 0, found.symbol, "%s was patched with other original bytes", found.symbol);
    return nullptr;
  }
  for (const Function *other : all_functions()) {
    if (!other->listed || other == known) continue;
    const std::uintptr_t distance = other->trampoline() > found.trampoline()
                                        ? other->trampoline() - found.trampoline()
                                        : found.trampoline() - other->trampoline();
    if (distance >= arch::jump_length) continue;
    fail(failure, Code::entry_too_short, 0, found.symbol, "the entry of %s overlaps that of %s", found.symbol,
         other->symbol);
    return nullptr;
  }
  auto *function = known != nullptr ? known : new_record<Function>();
  if (function == nullptr) {
    no_memory(failure);
    return nullptr;
  }
  function->entry = found.entry;
  function->entry_size = found.entry_size;
  function->jump_offset = found.jump_offset;
  function->boundaries = found.boundaries;
  std::memcpy(function->original, found.original, sizeof function->original);
  function->original_length = found.original_length;
  function->old_size = found.old_size;
  function->symbol = keep_text(found.symbol);
  function->module = keep_text(found.module);
  function->versions.address = found.entry;
  function->versions.size = found.old_size;
  function->current = &function->versions;
  if (known != nullptr || add_function(function)) return function;
  no_memory(failure);
  return nullptr;
}

bool add_change(Plan &plan, Function &function, Version &to, Failure &failure) {
  for (const Change &change : plan.changes) {
    if (change.function != &function) continue;
    return fail(failure, Code::bad_request, 0, function.symbol, "%s is to be changed twice", function.symbol);
  }
  return plan.changes.add({&function, &to}) || no_memory(failure);
}

bool add_new_version(Plan &plan, Function &function, Patch &patch, std::uintptr_t target, std::uint64_t size,
                     Failure &failure) {
  Version *version = new_version();
  if (version == nullptr) return no_memory(failure);
  const Version *last = &function.versions;
  while (last->next != nullptr) last = last->next;
  version->number = last->number + 1;
  version->patch = &patch;
  version->address = target;
  version->size = size;
  if (add_change(plan, function, *version, failure)) return true;
  release_version(version);
  return false;
}

/** The text, which other patches have as well. */
const char *keep_module(const char *path) {
  for (const Patch *patch : all_patches()) {
    if (patch->module != nullptr && std::strcmp(patch->module, path) == 0) return patch->module;
  }
  return keep_text(path);
}

/** Gives back what a plan that failed was made of. */
void drop_versions(const Plan &plan) {
  for (const Change &change : plan.changes) {
    if (find_version(*change.function, change.to->number) != change.to) release_version(change.to);
  }
}

/** Whether the bytes may be an entry: code of the module, or of a patch that was made for it before. */
bool is_entry(const PatchFix &fix, const Module &module) {
  const std::uint64_t length = fix.original_length > fix.entry_size ? fix.entry_size : fix.original_length;
  if (module.has_code(fix.entry, length)) return true;
  for (const Patch *patch : all_patches()) {
    if (patch->state == Patch::unmapped || patch->kind != Patch::generated) continue;
    if (fix.entry >= patch->code_start && fix.entry + length <= patch->code_end) return true;
  }
  return false;
}

bool add_fix(Plan &plan, Patch &patch, const PatchFix &fix, const Module &module, Failure &failure) {
  Function found{};
  found.symbol = reinterpret_cast<const char *>(fix.name);
  found.module = patch.module;
  found.entry = fix.entry;
  found.entry_size = fix.entry_size;
  found.jump_offset = fix.jump_offset;
  found.boundaries = fix.boundaries;
  std::memcpy(found.original, fix.original, sizeof found.original);
  found.original_length = fix.original_length;
  found.old_size = fix.old_size;
  if (!is_entry(fix, module)) {
    return fail(failure, Code::bad_patch_file, 0, found.symbol, "%s: the entry of %s is not code of its module",
                patch.file, found.symbol);
  }
  Function *function = function_for(found, failure);
  return function != nullptr && add_new_version(plan, *function, patch, fix.target, fix.target_size, failure);
}

bool add_generated_patch(Plan &plan, const char *file, Timings &timings, Failure &failure) {
  Patch *patch = new_patch(Patch::generated, file);
  if (patch == nullptr) return no_memory(failure);
  if (!plan.patches.reserve(plan.patches.size() + 1)) {
    release_patch(patch);
    return no_memory(failure);
  }
  Module module;
  LoadTimes times{};
  const bool loaded = load_patch(file, patch->loaded, module, times, failure);
  timings.read += times.read;
  timings.load += times.load;
  timings.relocate += times.relocate;
  if (!loaded) {
    release_patch(patch);
    return false;
  }
  plan.patches.add(patch);

  const LoadedPatch &content = patch->loaded;
  patch->base = content.base();
  patch->length = content.length();
  for (std::size_t i = 0; i < content.file.segment_count; i++) {
    const Segment &segment = content.file.segments[i];
    if (!segment.executable) continue;
    if (patch->code_start == 0) patch->code_start = segment.page_start();
    patch->code_end = segment.page_end();
  }
  patch->module = keep_module(reinterpret_cast<const char *>(content.note.module_path));
  const auto *fixes = reinterpret_cast<const PatchFix *>(content.note.fixes);
  for (std::uint32_t i = 0; i < content.note.fix_count; i++) {
    if (!add_fix(plan, *patch, fixes[i], module, failure)) return false;
  }
  const auto *guards = reinterpret_cast<const PatchGuard *>(content.note.guards);
  for (std::uint32_t i = 0; i < content.note.guard_count; i++) {
    const PatchGuard &guard = guards[i];
    if (!plan.guards.add({guard.start, guard.length, reinterpret_cast<const char *>(guard.name)})) {
      return no_memory(failure);
    }
  }
  return true;
}

bool add_revert(Plan &plan, Function &function, unsigned number, bool is_of_save, Failure &failure) {
  Version *version = find_version(function, number);
  if (version == nullptr) {
    return fail(failure, Code::unknown_version, 0, function.symbol, "%s has no version %u", function.symbol, number);
  }
  // What a save takes back was seen to be what its text says; what is chosen by its number was not.
  if (version->is_outdated && !is_of_save) {
    return fail(failure, Code::migrated_since, 0, function.symbol,
                "version %u of %s is from before objects were migrated to another layout", number, function.symbol);
  }
  Patch *patch = version->patch;
  if (patch != nullptr && patch->state == Patch::unmapped && !restore_patch(*patch, failure)) return false;
  return add_change(plan, function, *version, failure);
}

bool add_revert(Plan &plan, const Request::Target &target, bool is_of_save, Failure &failure) {
  Function *function = find_function(target.entry);
  if (function == nullptr || !function->listed) {
    return fail(failure, Code::unknown_version, 0, nullptr, "no function at %#lx was ever patched",
                static_cast<unsigned long>(target.entry));
  }
  return add_revert(plan, *function, target.version, is_of_save, failure);
}

/** Whether the function that is to be called is code: of a patch, or of a module. */
bool is_migrator_code(const Plan &plan, const Request &request, Failure &failure) {
  if (request.migrated.empty()) return true;
  const std::uintptr_t entry = request.migrator;
  const auto is_in = [entry](const Patch *patch) { return entry >= patch->code_start && entry < patch->code_end; };
  Module module;
  if (std::any_of(plan.patches.begin(), plan.patches.end(), is_in) || (find_module_of(entry, module) && module.has_code(entry, 1)) ||
      std::any_of(all_patches().begin(), all_patches().end(),
                  [&](const Patch *patch) { return patch->state != Patch::unmapped && is_in(patch); })) {
    return true;
  }
  return fail(failure, Code::bad_request, 0, nullptr, "hot_fix_migrate is to be called at %#lx, where no code is",
              static_cast<unsigned long>(entry));
}

void keep_patches(const Plan &plan) {
  for (Patch *patch : plan.patches) add_patch(patch); // there is room: carry_out has seen to it
}

/** Commits the plan, and keeps the patches that it loaded. `entered`: threads may have run the new versions, also when it
 * failed; then the patches are kept all the same. */
bool commit_plan(Plan &plan, Migration &migration, bool &entered, Timings &timings, Failure &failure) {
  const std::uint64_t begin = monotonic_microseconds();
  const NoFork no_fork;
  const bool committed = commit(plan.changes, plan.guards, migration, entered, failure);
  for (Patch *patch : plan.patches) patch->is_stillborn = !committed;
  if (committed || entered) keep_patches(plan);
  if (committed) update_patch_states();
  timings.write += monotonic_microseconds() - begin;
  return committed;
}

/** Takes down which versions fit the objects that there are: those that are current now, and those that were seen to. */
void note_current(bool has_migrated) {
  for (Function *function : all_functions()) {
    if (!function->listed) continue;
    for (Version *version = &function->versions; version != nullptr && has_migrated; version = version->next) {
      version->is_outdated = true;
    }
    function->current->is_outdated = false;
  }
}

/** Whether the program notices anything of it. */
bool does_anything(const Plan &plan) {
  return std::any_of(plan.changes.begin(), plan.changes.end(),
                     [](const Change &change) { return change.function->current != change.to; }) ||
         std::any_of(plan.patches.begin(), plan.patches.end(),
                     [](const Patch *patch) { return patch->loaded.note.object_count != 0; });
}

/** Carries the plan out: where the program wants it done, and with its hooks around it. */
bool carry_out(Plan &plan, const Request &request, Report &report, bool &entered, Failure &failure) {
  entered = false;
  if (!all_patches().reserve(all_patches().size() + plan.patches.size())) return no_memory(failure);
  SyncPoint sync_point;
  if (does_anything(plan) && !sync_point.reach(failure)) return false;
  for (Patch *patch : plan.patches) {
    if (!construct_objects(patch->loaded, failure)) return false;
  }
  HookCalls hooks(plan.changes, request.sources, report.warnings);
  hooks.before();
  Migration migration;
  const bool committed = migration.prepare(request, failure) &&
                         commit_plan(plan, migration, entered, report.timings, failure);
  migration.release(committed, report.warnings);
  hooks.after(committed ? nullptr : &failure);
  if (!committed) return false;
  sync_point.note_live();
  migration.note(report.migrated);
  note_current(migration.is_asked_for());
  for (Patch *patch : plan.patches) {
    if (patch->kind == Patch::generated) announce_to_debugger(*patch, patch->file);
  }
  return true;
}

bool execute_patch(const Request &request, Report &report, Failure &failure) {
  Plan plan;
  const auto prepared = [&]() {
    for (const char *file : request.files) {
      if (!add_generated_patch(plan, file, report.timings, failure)) return false;
    }
    for (const Request::Target &target : request.functions) {
      if (!add_revert(plan, target, true, failure)) return false;
    }
    return is_migrator_code(plan, request, failure);
  };
  bool entered = false;
  if (prepared() && carry_out(plan, request, report, entered, failure)) return true;
  drop_versions(plan);
  for (Patch *patch : plan.patches) {
    // What was constructed of it is still to be destroyed, by its own code.
    if (entered || patch->loaded.constructed) continue;
    unload_patch(patch->loaded);
    release_patch(patch);
  }
  return false;
}

bool execute_load(const Request &request, Report &report, Failure &failure) {
  const std::uint64_t begin = monotonic_microseconds();
  const char *file = request.files[0];
  Plan plan;
  SeedPatch seed{};
  if (!load_seed_patch(file, next_patch_id(), seed, failure)) return false;
  const auto prepared = [&]() {
    Patch *patch = new_patch(Patch::fix_table, file);
    if (patch == nullptr) return no_memory(failure);
    if (!plan.patches.add(patch)) {
      release_patch(patch);
      return no_memory(failure);
    }
    patch->base = seed.module.bias;
    if (seed.module.code_count != 0) {
      patch->code_start = seed.module.code[0].start;
      patch->code_end = seed.module.code[seed.module.code_count - 1].end;
    }
    patch->length = patch->code_end - patch->base;
    for (std::size_t i = 0; i < seed.count; i++) {
      Function found{};
      std::uint64_t target_size = 0;
      if (!describe_seed_function(seed.table[i], found, target_size, failure)) return false;
      // The entry as it is now may be our own jump: what is known already comes first.
      Function *known = find_function(found.entry);
      Function *function = known != nullptr && known->listed ? known : function_for(found, failure);
      if (function == nullptr) return false;
      patch->module = function->module;
      const auto target = reinterpret_cast<std::uintptr_t>(seed.table[i].new_func);
      if (!add_new_version(plan, *function, *patch, target, target_size, failure)) return false;
    }
    return true;
  };
  const bool ready = prepared();
  report.timings.load += monotonic_microseconds() - begin;
  bool entered = false;
  if (ready && carry_out(plan, request, report, entered, failure)) return true;
  drop_versions(plan);
  if (entered) return false;
  for (Patch *patch : plan.patches) release_patch(patch);
  dlclose(seed.handle);
  return false;
}

bool execute_revert(const Request &request, Report &report, Failure &failure) {
  Plan plan;
  if (request.all || request.command == Request::detach) {
    for (Function *function : all_functions()) {
      if (function->listed && !add_revert(plan, *function, 0, false, failure)) return false;
    }
  }
  for (const Request::Target &target : request.functions) {
    if (!add_revert(plan, target, false, failure)) return false;
  }
  bool entered = false;
  return carry_out(plan, request, report, entered, failure);
}

bool execute_symbols(const Request &request, Failure &failure) {
  for (Patch *patch : all_patches()) {
    if (patch->id != request.patch_id || patch->state == Patch::unmapped) continue;
    if (announce_to_debugger(*patch, request.files[0])) return true;
    return fail(failure, Code::bad_request, 0, nullptr, "%s cannot be read", request.files[0]);
  }
  return fail(failure, Code::bad_request, 0, nullptr, "there is no patch %u", request.patch_id);
}

} // namespace

bool execute(const Request &request, Report &report, Failure &failure) {
  bool done = false;
  switch (request.command) {
  case Request::patch:
    done = execute_patch(request, report, failure);
    break;
  case Request::load:
    done = execute_load(request, report, failure);
    break;
  case Request::revert:
  case Request::detach:
    done = execute_revert(request, report, failure);
    break;
  case Request::symbols:
    return execute_symbols(request, failure);
  case Request::status:
    count_active_threads(status_patience);
    return true;
  case Request::wake:
    return true;
  case Request::hold:
    return set_holding(request, failure);
  case Request::resume:
    return resume_thread(request, failure);
  }
  if (done) count_active_threads(answer_patience);
  return done;
}

} // namespace hot_fix
