// Has the hooks of the program called around one change of entries: each on a thread of its own, the same one before and
// after, for which the worker waits only so long. Loads nothing and changes no entry.
#pragma once

#include "failure.h"
#include "hooks.h"
#include "memory.h"
#include "transaction.h"

namespace hot_fix {

struct HookCall;
struct Occasion;

/** The calls for one change. */
class HookCalls {
public:
  /** `sources`: what was saved. `warnings` receives hook-failed for each hook that did not do its part. */
  HookCalls(const List<Change> &changes, const List<const char *> &sources, List<Failure> &warnings);
  HookCalls(const HookCalls &) = delete;
  HookCalls &operator=(const HookCalls &) = delete;
  ~HookCalls();

  /** Tells the hooks that the entries are about to change. */
  void before();

  /** Tells them what came of it; `failure` is null when the new versions are live. */
  void after(const Failure *failure);

private:
  bool start(HookCall &call, Told when);
  void wait_for(HookCall &call, Told when);

  List<Failure> &warnings_;
  Occasion *occasion_ = nullptr; // null: there is nothing to tell, or nobody
  std::uint64_t time_left_ = 0;  // microseconds, for all hooks together
};

} // namespace hot_fix
