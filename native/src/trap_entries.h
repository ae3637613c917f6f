// Changes entries of which a single store is not enough, by closing them first: threads that come there trap, turn on
// the spot or are parked, until everybody has left the bytes behind. The last resort: it needs SIGTRAP to be
// deliverable, or a first instruction of two bytes, or signals to all threads.
#pragma once

#include "entry_write.h"
#include "guard.h"
#include "migration.h"
#include "page_protection.h"

namespace hot_fix {

/** Changes the entries, all or none. Threads are held for at most `hold` microseconds. `retry` says that it was for a moment's state of the threads; `entered`, that threads
 * may have been let into the new versions meanwhile, also when it failed. */
bool trap_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, std::uint64_t hold,
                  bool &retry, bool &entered, Failure &failure);

/** Changes the entries and migrates objects while all threads are parked, all or nothing. `entered`: new code has run, also
 * when it failed. */
bool migrate_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, Migration &migration,
                     bool &entered, Failure &failure);

} // namespace hot_fix
