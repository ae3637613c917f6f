// What can be seen of an object from outside: whether it is one that malloc may have made.
#include "migrating_objects.h"

#include "threads.h"

#include <algorithm>
#include <link.h>
#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {

void MigratingObjects::learn_variables() {
  dl_iterate_phdr(
      [](dl_phdr_info *info, std::size_t, void *data) {
        auto &segments = *static_cast<List<Segment> *>(data);
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const ElfW(Phdr) &segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
          segments.add({start, start + segment.p_memsz});
        }
        return 0;
      },
      &segments_);
}

const Object *MigratingObjects::object_at(std::uintptr_t address) const {
  const Object *found = std::lower_bound(objects.begin(), objects.end(), address,
                                         [](const Object &object, std::uintptr_t wanted) { return object.before < wanted; });
  return found != objects.end() && found->before == address ? found : nullptr;
}

const Object *MigratingObjects::object_around(std::uintptr_t address) const {
  const Object *after = std::upper_bound(objects.begin(), objects.end(), address,
                                         [](std::uintptr_t wanted, const Object &object) { return wanted < object.before; });
  if (after == objects.begin()) return nullptr;
  const Object &object = *(after - 1);
  return address - object.before < types[object.type].before ? &object : nullptr;
}

/** Why the object cannot be one that has memory of its own; null: it may be. */
const char *MigratingObjects::obstacle(const MemoryMap &map, const List<std::uintptr_t> &stacks, const Object &object) const {
  const std::uintptr_t first = object.before, last = first + types[object.type].before - 1;
  char byte;
  if (read_memory(first, &byte, 1) != 1 || read_memory(last, &byte, 1) != 1) return "is not in memory";
  const auto holds = [first](const Segment &segment) { return first >= segment.start && first < segment.end; };
  if (std::any_of(segments_.begin(), segments_.end(), holds)) return "is a variable of the program";
  const Mapping *mapping = map.find(first);
  if (mapping == nullptr || (mapping->protection & PROT_WRITE) == 0) return "is not in memory that can be written";
  if (mapping->shared) return "is in memory that other processes share";
  const auto is_on = [&](std::uintptr_t pointer) { return pointer >= mapping->start && pointer <= first; };
  if (std::strcmp(mapping->path, "[heap]") != 0 && std::any_of(stacks.begin(), stacks.end(), is_on)) return "is on a stack";
  return nullptr;
}

/** Each place once, each object once, both sorted. */
bool MigratingObjects::list_once(Failure &failure) {
  for (unsigned type = 0; type < type_count; type++) {
    List<Place> &those = places[type];
    std::sort(those.begin(), those.end(), [](const Place &a, const Place &b) { return a.address < b.address; });
    const auto same = [](const Place &a, const Place &b) { return a.address == b.address; };
    those.shrink(static_cast<std::size_t>(std::unique(those.begin(), those.end(), same) - those.begin()));
    for (const Place &place : those) {
      if (objects.add({place.object, nullptr, type})) continue;
      return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for the objects of `%s`", types[type].name);
    }
  }
  const auto is_before = [](const Object &a, const Object &b) {
    return a.before != b.before ? a.before < b.before : a.type < b.type;
  };
  std::sort(objects.begin(), objects.end(), is_before);
  const auto same = [](const Object &a, const Object &b) { return a.before == b.before && a.type == b.type; };
  objects.shrink(static_cast<std::size_t>(std::unique(objects.begin(), objects.end(), same) - objects.begin()));
  return true;
}

bool MigratingObjects::are_places_writable(const MemoryMap &map, Failure &failure) const {
  for (unsigned type = 0; type < type_count; type++) {
    for (const Place &place : places[type]) {
      const Mapping *mapping = map.find(reinterpret_cast<std::uintptr_t>(place.address));
      if (mapping != nullptr && (mapping->protection & PROT_WRITE) != 0 && !mapping->shared) continue;
      return fail(failure, Code::migration_failed, 0, nullptr,
                  "the migration of `%s` visited a pointer at %p, which cannot be written, or is in memory that other "
                  "processes share",
                  types[type].name, static_cast<void *>(place.address));
    }
  }
  return true;
}

bool MigratingObjects::list(Failure &failure) {
  MemoryMap map;
  List<int> threads;
  List<std::uintptr_t> stacks;
  if (!map.read() || !list_threads(threads)) {
    return fail(failure, Code::migration_failed, 0, nullptr, "the threads and the memory of the process cannot be listed");
  }
  for (const int tid : threads) stacks.add(thread_state(tid).stack_pointer);
  if (!list_once(failure) || !are_places_writable(map, failure)) return false;
  for (std::size_t i = 0; i < objects.size(); i++) {
    const Object &object = objects[i];
    const MigratingType &type = types[object.type];
    const auto address = static_cast<unsigned long>(object.before);
    if (i + 1 < objects.size() && objects[i + 1].before - object.before < type.before) {
      return fail(failure, Code::migration_failed, 0, nullptr,
                  "the migration of `%s` visited pointers to %#lx and %#lx, and objects there would overlap", type.name, address,
                  static_cast<unsigned long>(objects[i + 1].before));
    }
    if (const char *why = obstacle(map, stacks, object)) {
      return fail(failure, Code::migration_failed, 0, nullptr,
                  "the migration of `%s` visited a pointer to %#lx, which %s: each object must have been allocated by itself",
                  type.name, address, why);
    }
  }
  return true;
}

} // namespace hot_fix
