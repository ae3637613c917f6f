// The migrations that the program has added (hot_fix.h), and the types of which the layout is another than it was built
// with. Calls nothing of the program.
#pragma once

#include "hot_fix.h"
#include "memory.h"

#include <cstddef>

namespace hot_fix {

inline constexpr std::size_t longest_type = 256; // with its NUL

/** The program's migration of a type; false when there is none. Only the worker asks. */
bool find_migration(const char *type, hot_fix_migration &migration);

/** A type whose objects were migrated. */
struct LiveLayout {
  const char *type;
  char layout[72]; // what the engine knows the present layout by
};

/** Null when there is no memory. Only the worker asks. */
LiveLayout *layout_of(const char *type);

const List<LiveLayout *> &live_layouts();

} // namespace hot_fix
