// What the runtime knows of patches and of the functions they replaced: plain records that live as long as the
// process. Only the worker changes them; the SIGTRAP handler looks functions up without a lock.
#pragma once

#include "arch_x86_64.h"
#include "island.h"
#include "loader.h"
#include "memory.h"

#include <atomic>
#include <cstdint>

namespace hot_fix {

struct DebuggerEntry;

struct Patch {
  enum Kind { generated, fix_table };
  enum State { live, superseded, unmapped };
  unsigned id;
  Kind kind;
  State state;
  const char *file;
  const char *module;
  char file_room[256]; // for `file`, when it is that short
  std::uint64_t base, length;
  std::uint64_t code_start, code_end;
  std::uint64_t loaded_at; // Unix milliseconds
  unsigned active_threads;
  bool is_stillborn; // its transaction failed when threads had entered it: it is kept for these alone
  LoadedPatch loaded;      // of a generated patch
  DebuggerEntry *debugger; // how it was announced; null: it was not
};

struct Version {
  unsigned number; // 0: the original
  Patch *patch;    // null: the original
  std::uintptr_t address;
  std::uint64_t size;
  unsigned active_threads;
  bool is_outdated; // objects were migrated since it was current: it may not become so again by its number
  Version *next;
};

/** One page's protection changes during the last write to a function's entry. */
struct PageRecord {
  struct Call {
    int protection, result, error_number;
  };
  std::uintptr_t start;
  Call calls[4];
  unsigned call_count;
  bool through_memory_file; // written through /proc/self/mem, because the page could not be made writable
};

enum class Method { store, int3, spin, parked };

/** What stands at an entry: the code it had, a jump to the function's island, a jump to the current version. */
enum class Form { original, island, direct };

/** The bits of Function::boundaries behind the entry's first byte, within the five of a jump. */
inline constexpr std::uint32_t boundaries_inside = ((1U << arch::jump_length) - 1) & ~1U;

struct Function {
  std::uintptr_t entry;
  std::uint64_t entry_size; // bytes that may be overwritten
  std::uint32_t jump_offset;
  std::uint32_t boundaries; // bit i: an instruction begins at trampoline() + i
  std::uint8_t original[16];
  std::uint32_t original_length;
  std::uint64_t old_size;
  const char *symbol;
  const char *module;
  Version versions; // the original; later ones follow through `next`
  Version *current;
  Form form;
  Island *island; // null: none was needed
  // No thread is behind the first byte of the original instructions any more, nor will it return there: known since
  // the entry became a jump.
  bool is_left;
  unsigned straightening_attempts;
  Method method;
  PageRecord pages[2];
  unsigned page_count;
  unsigned active_threads;
  bool listed; // it was patched at least once; else a transaction with it has failed, and its record waits for the next

  // For the SIGTRAP handler: where a thread goes that meets an int3 at the trampoline.
  std::atomic<std::uintptr_t> divert_to;
  std::atomic<Function *> next_in_bucket;

  std::uintptr_t trampoline() const { return entry + jump_offset; }
  /** The five bytes of the form, where the version is the current one. */
  void entry_bytes(Form of, const Version &version, std::uint8_t (&bytes)[arch::jump_length]) const;
  /** Whether an original instruction begins behind the entry's first byte, within the five. */
  bool has_boundary_inside() const { return (boundaries & boundaries_inside) != 0; }
  /** Where a jump leads that has the original bytes behind its first one. */
  std::uintptr_t punned_target() const { return arch::jump_target(trampoline(), original + jump_offset + 1); }
  /** Whether the jump to the island differs from the original code in its first byte only. */
  bool is_punned() const { return island != nullptr && island->address == punned_target(); }
};

/** The function with that entry, or null. */
Function *find_function(std::uintptr_t entry);

/** The function whose trampoline begins there, or null. Async-signal-safe. */
Function *find_trampoline(std::uintptr_t address);

/** Adds a function (its `entry` and `jump_offset` are set); it is found from then on. */
bool add_function(Function *function);

bool add_patch(Patch *patch);

/** A record of a patch that is not in the table yet, zeroed but for what it keeps for its next use; null when there is
 * no memory. */
Patch *new_patch(Patch::Kind kind, const char *file);

/** Gives back a record that is not in the table. Nothing refers to it any more. */
void release_patch(Patch *patch);

/** A record of a version that belongs to no function yet, or null. */
Version *new_version();
void release_version(Version *version);

/** The id of the next patch that is added. Ids are never used again. */
unsigned next_patch_id();

/** Forgets the oldest of the unmapped patches, with their versions, so that only some remain to go back to. The newest
 * version of a function is never forgotten: the numbers go on from it. */
void forget_old_patches();

List<Function *> &all_functions();
List<Patch *> &all_patches();

Version *find_version(Function &function, unsigned number);

/** Sets every patch's state from what is current. */
void update_patch_states();

} // namespace hot_fix
