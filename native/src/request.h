// A request of the engine (docs/PROTOCOL.md, section 2), from text to values. Pure: looks at nothing but the text.
#pragma once

#include "arch_x86_64.h"
#include "failure.h"
#include "guard.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

/** Which threads are held when they crash: those whose own code is patched or in a module that is named; all. */
enum class Holding { off, patched, all };

/** How a thread goes on that is held: at the instruction that failed; behind a call; in a call; or it crashes. */
enum class Way { none, instruction, returns, call, crash };

/** A type of which the objects are made anew in another layout. */
struct MigratedType {
  const char *type;
  const char *layout; // what the engine knows the new layout by
  std::size_t before, after; // bytes
  std::uint64_t objects; // that were migrated
};

struct Request {
  enum Command { patch, load, revert, status, symbols, detach, wake, hold, resume };
  struct Target {
    std::uintptr_t entry;
    unsigned version;
  };
  Command command;
  List<const char *> files;  // texts in the buffer that was parsed
  List<const char *> sources; // that were saved; for the program's hooks
  List<Target> functions;    // to be reverted, to that version
  List<MigratedType> migrated;
  std::uintptr_t migrator;   // the entry of hot_fix_migrate, as its callers enter it
  List<Guard> quiet;         // code that must not be active when objects are migrated
  List<Guard> unreferenced;  // code of which nobody may hold an address then
  bool all;                  // revert all functions to their originals
  unsigned patch_id;         // of `symbols`

  // Of `hold`.
  bool names_mode;
  Holding holding;
  int engine_pid;
  std::uint64_t engine_start;   // as start_time()
  const char *engine_namespace; // as pid_namespace()
  unsigned limit;               // seconds; 0: none
  List<const char *> modules;

  // Of `resume`.
  int tid;
  unsigned held; // the number of the hold
  Way way;
  std::uint32_t changed; // a bit for each register that is given
  std::uint64_t registers[arch::last_unwind_register + 1];
  std::uint32_t changed_vectors; // the same of the vector registers
  std::uint64_t vectors[arch::argument_vectors]; // their low eight bytes
};

/** Parses in place: the texts of the request point into `text`, which ends with a NUL. Fails with bad-request. */
bool parse_request(Buffer &text, Request &request, Failure &failure);

} // namespace hot_fix
