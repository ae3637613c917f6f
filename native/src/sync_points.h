// Sync points (hot_fix.h): the places between which a program wants no entry to change. The worker asks for one and waits
// until a thread of the program stands there.
#pragma once

#include "failure.h"

namespace hot_fix {

/** A thread of the program, held at a sync point while this exists. */
class SyncPoint {
public:
  SyncPoint() = default;
  SyncPoint(const SyncPoint &) = delete;
  SyncPoint &operator=(const SyncPoint &) = delete;
  ~SyncPoint();

  /** True when one stands there, or the program uses none. False with no-sync-point when none came in the time that the
   * program gives. */
  bool reach(Failure &failure);

  /** What the thread is told as it goes on. */
  void note_live() { is_live_ = true; }

private:
  bool is_reached_ = false, is_live_ = false;
};

bool uses_sync_points();

/** At the end of the process, and in a child of fork: nobody waits for one any more. */
void give_up_sync_points();

} // namespace hot_fix
