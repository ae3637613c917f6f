// A table without a lock, as that of the hooks, and the records of what was migrated.
#include "migration_table.h"

#include "running_copy.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t most_migrations = 32;
constexpr unsigned default_limit = 1000, longest_limit = 5000; // milliseconds

enum : std::uint32_t { free_place, filling, in_use };

struct Entry {
  std::atomic<std::uint32_t> state;
  std::atomic<int> number; // what the program knows it by
  hot_fix_migration migration;
  char type[longest_type];
};
Entry table[most_migrations];
std::atomic<int> last_number;
List<LiveLayout *> layouts;

/** What a program gave that was built with this header, an older or a newer one. */
bool read_migration(const hot_fix_migration *given, hot_fix_migration &migration) {
  migration = hot_fix_migration{};
  if (given == nullptr || given->size < sizeof given->size) return false;
  std::memcpy(&migration, given, std::min(given->size, sizeof migration));
  if (migration.type == nullptr || migration.type[0] == '\0' || migration.enumerate == nullptr) return false;
  if (migration.time_limit == 0) migration.time_limit = default_limit;
  migration.time_limit = std::min(migration.time_limit, longest_limit);
  return std::strlen(migration.type) < longest_type;
}

Entry *entry_of(const char *type) {
  const auto is_it = [type](const Entry &entry) {
    return entry.state.load() == in_use && std::strcmp(entry.type, type) == 0;
  };
  Entry *found = std::find_if(table, table + most_migrations, is_it);
  return found != table + most_migrations ? found : nullptr;
}

int refuse(int error_number) {
  errno = error_number;
  return -1;
}

int add_migration(const hot_fix_migration *given) {
  hot_fix_migration migration;
  if (!read_migration(given, migration)) return refuse(EINVAL);
  if (entry_of(migration.type) != nullptr) return refuse(EEXIST);
  for (Entry &entry : table) {
    std::uint32_t none = free_place;
    if (!entry.state.compare_exchange_strong(none, filling)) continue;
    std::strcpy(entry.type, migration.type);
    entry.migration = migration;
    entry.migration.type = entry.type;
    const int number = last_number.fetch_add(1) + 1;
    entry.number.store(number);
    entry.state.store(in_use);
    return number;
  }
  return refuse(ENOSPC);
}

int remove_migration(int number) {
  for (Entry &entry : table) {
    std::uint32_t used = in_use;
    if (entry.number.load() == number && entry.state.compare_exchange_strong(used, free_place)) return 0;
  }
  return refuse(EINVAL);
}

} // namespace

bool find_migration(const char *type, hot_fix_migration &migration) {
  const Entry *entry = entry_of(type);
  if (entry == nullptr) return false;
  migration = entry->migration;
  return true;
}

LiveLayout *layout_of(const char *type) {
  for (LiveLayout *known : layouts) {
    if (std::strcmp(known->type, type) == 0) return known;
  }
  auto *layout = new_record<LiveLayout>();
  if (layout == nullptr || !layouts.add(layout)) return nullptr;
  layout->type = keep_text(type);
  return layout;
}

const List<LiveLayout *> &live_layouts() { return layouts; }

} // namespace hot_fix

extern "C" {

__attribute__((visibility("default"))) int hot_fix_add_migration(const struct hot_fix_migration *migration) {
  if (const auto other = hot_fix::in_running_copy(&hot_fix_add_migration, "hot_fix_add_migration")) {
    return other(migration);
  }
  return hot_fix::add_migration(migration);
}

__attribute__((visibility("default"))) int hot_fix_remove_migration(int number) {
  if (const auto other = hot_fix::in_running_copy(&hot_fix_remove_migration, "hot_fix_remove_migration")) {
    return other(number);
  }
  return hot_fix::remove_migration(number);
}
}
