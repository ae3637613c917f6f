// What the helper program, the borrowed thread and the new thread share: one block at the start of the mapping in
// the process. The helper fills it in before the stub runs, and reads the result from it.
#pragma once

#include "block_layout.h"
#include "entrances.h"

#include <cstddef>
#include <cstdint>
#include <ctime>

namespace hot_fix {

struct Block {
  Entrances entrances;
  std::uint64_t mapping, mapping_length; // of which this block is the beginning
  std::uint64_t start;                   // of the new thread's code
  std::uint64_t frame;                   // the ucontext that puts the borrowed thread back
  std::uint64_t stack_size;              // of the new thread
  std::uint64_t errno_address;
  std::int32_t errno_saved;
  std::uint32_t state;           // STATE_…, of the new thread
  std::uint32_t withdrawn;       // set from outside: load nothing any more
  std::uint32_t released;        // set from outside: the borrowed thread has left, and the result was read
  std::int32_t created;          // what pthread_create returned; -1: it has not
  std::int32_t thread_id;        // of the new thread
  std::int32_t started;          // what the runtime's own entrance returned
  std::uint32_t use_memory_file; // the library's path does not exist for the process
  std::int32_t descriptor;       // of that file; -1: none yet
  std::uint32_t filled;          // set from outside: the file has its content
  std::uint64_t thread;          // pthread_t
  std::uint64_t attributes[8];   // pthread_attr_t
  std::uint64_t mask;            // signals that the new thread blocks
  timespec pause;                // between two looks at a word that is set from outside
  char name[16];                 // of the new thread
  char symbol[24];               // of the runtime's entrance
  char library[512];
  char error[BLOCK_ERROR_SIZE]; // the loader's words
  char threads_library[24];     // to be loaded first, for the two functions that follow; "": it is loaded
  char create_thread_name[24];
  char set_stack_size_name[32];
};

static_assert(offsetof(Block, entrances.dlopen_flags) == BLOCK_DLOPEN_FLAGS);
static_assert(offsetof(Block, mapping) == BLOCK_MAPPING);
static_assert(offsetof(Block, stack_size) == BLOCK_STACK_SIZE);
static_assert(offsetof(Block, state) == BLOCK_STATE);
static_assert(offsetof(Block, filled) == BLOCK_FILLED);
static_assert(offsetof(Block, attributes) == BLOCK_ATTRIBUTES);
static_assert(offsetof(Block, mask) == BLOCK_MASK);
static_assert(offsetof(Block, name) == BLOCK_NAME);
static_assert(offsetof(Block, library) == BLOCK_LIBRARY);
static_assert(offsetof(Block, error) == BLOCK_ERROR);
static_assert(offsetof(Block, threads_library) == BLOCK_THREADS_LIBRARY);
static_assert(offsetof(Block, create_thread_name) == BLOCK_CREATE_THREAD_NAME);
static_assert(offsetof(Block, set_stack_size_name) == BLOCK_SET_STACK_SIZE_NAME);
static_assert(sizeof(Block) == BLOCK_SIZE);

} // namespace hot_fix
