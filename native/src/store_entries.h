// Changes entries by single stores: no thread is stopped, signalled or trapped, and none can be in the way. What
// cannot be written so is left to trap_entries.h.
#pragma once

#include "entry_write.h"
#include "guard.h"
#include "page_protection.h"

namespace hot_fix {

/** Whether all the entries can be changed by single stores. Makes the islands for it, and decides `into`. */
bool can_store_entries(List<EntryWrite> &writes, const PageProtection &pages);

/** Changes the entries, all or none; false only with caller-active. */
bool store_entries(List<EntryWrite> &writes, PageProtection &pages, const List<Guard> &guards, Failure &failure);

/** Lets entries jump to their versions without an island between, where every thread was seen outside of the bytes
 * that this replaces. Looks for at most `patience` microseconds; whether it changed any. */
bool straighten_entries(std::uint64_t patience);

} // namespace hot_fix
