// The objects that a program has enumerated for a migration, and the pointers to them.
#pragma once

#include "failure.h"
#include "hot_fix.h"
#include "memory.h"
#include "migration_table.h"
#include "process.h"

#include <cstdint>

namespace hot_fix {

inline constexpr std::size_t most_types = 16;

struct Place {
  void **address;
  std::uintptr_t object; // the old one
};

struct Object {
  std::uintptr_t before;
  void *after; // null: none was made so far
  unsigned type;
};

struct MigratingType {
  hot_fix_migration functions;
  char name[longest_type];
  std::size_t before, after; // bytes
};

struct MigratingObjects {
  MigratingType types[most_types];
  unsigned type_count;
  List<Place> places[most_types]{};
  List<Object> objects{}; // sorted

  /** Learns where the variables of all modules are. Takes the loader's lock: to be asked before threads are parked. */
  void learn_variables();

  /** Lists the objects that the places lead to, each once. Fails with migration-failed unless each of them is in memory of
   * its own, which only this process has. */
  bool list(Failure &failure);

  /** The object that begins there; null when none does. */
  const Object *object_at(std::uintptr_t address) const;
  /** The object that holds the address; null when none does. */
  const Object *object_around(std::uintptr_t address) const;

private:
  struct Segment {
    std::uintptr_t start, end;
  };
  bool list_once(Failure &failure);
  bool are_places_writable(const MemoryMap &map, Failure &failure) const;
  const char *obstacle(const MemoryMap &map, const List<std::uintptr_t> &stacks, const Object &object) const;
  List<Segment> segments_{}; // of the modules
};

} // namespace hot_fix
