// The objects of types that a save lays out otherwise, made anew by the program while all of its threads are parked
// (docs/RUNTIME.md, "Objects of another layout"). Code of the program runs on a thread that is made for it, for which the
// worker waits only so long. Changes no entry.
#pragma once

#include "failure.h"
#include "request.h"

#include <cstdint>

namespace hot_fix {

struct MigrationWork;

class Migration {
public:
  Migration() = default;
  Migration(const Migration &) = delete;
  Migration &operator=(const Migration &) = delete;
  ~Migration();

  /** Takes over what the request asks for, and starts the thread. Threads run. Fails with migration-failed. */
  bool prepare(const Request &request, Failure &failure);
  bool is_asked_for() const { return work_ != nullptr; }

  /** Code that must not be active. */
  const List<Guard> &code() const { return request_->quiet; }

  /** Has the program enumerate the objects, by its old code. All threads are parked. */
  bool enumerate(Failure &failure);

  /** Makes each object anew and sets the pointers to it. All threads are parked, and the entries are those of the new code.
   * When it fails, the pointers are as they were. `ran`: code of the patch has run. */
  bool carry_out(bool &ran, Failure &failure);

  /** Threads run again: releases the old objects; or the new ones, when it has failed. */
  void release(bool is_live, List<Failure> &warnings);

  /** The live layouts are the new ones; tells how many objects there are of each. */
  void note(List<MigratedType> &migrated) const;

private:
  enum class Task : std::uint32_t { enumerate, build, release, end };
  bool run(Task task, std::uint64_t limit, Failure &failure);
  bool is_nothing_left(Failure &failure) const;
  void put_back();

  const Request *request_ = nullptr;
  MigrationWork *work_ = nullptr;
  std::uint64_t time_left_ = 0; // microseconds, for enumerating and building together
};

/** Whether the thread waits for the worker to say what of a migration it does next, or does that. */
bool is_migrating(int tid);

} // namespace hot_fix
