// The hooks of the program (hot_fix.h): which there are. Any thread adds and removes them at any time; the worker has
// them called (hook_calls.h).
#pragma once

#include "hot_fix.h"
#include "memory.h"

#include <atomic>
#include <cstdint>

namespace hot_fix {

/** One of them is the program's by name. */
inline constexpr std::size_t most_hooks = 33;

/** What was added by one call, and who is in it. */
struct Hook {
  enum : std::uint32_t {
    free,
    filling,
    idle,    // nobody is in it
    running, // a thread is in one of its functions
    waiting, // that thread waits between the two
    removed, // that thread is still there
  };
  std::atomic<std::uint32_t> state; // a futex word
  std::atomic<int> number;          // what the program knows it by; by it they are ordered
  std::atomic<int> tid;             // of that thread
  hot_fix_hooks functions;
  // The module of the functions, as the loader had it: after it was unloaded, others may be at its place.
  std::uintptr_t bias;
  std::uint8_t build_id[32];
  std::size_t build_id_length;
  bool has_module;
};

/** Those there are, in order. Looks for the program's hooks by name at first, and lets go of those whose library is no
 * longer loaded. Only the worker calls it. False when memory is short. */
bool list_hooks(List<Hook *> &hooks);

/** Whether there are any. Only the worker asks. */
bool has_hooks();

enum class Told { before, after };

/** A name for people: the symbol when it is exported, else the file and the place in it. */
void name_function(const Hook &hook, Told when, char (&name)[256]);

/** In a child of fork, where the threads that call hooks are not. */
void reset_hooks();

/** Whether the thread calls hooks, and waits between two: it runs nothing of the program until the worker lets it. */
bool is_waiting_in_hook(int tid);

} // namespace hot_fix
