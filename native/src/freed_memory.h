// Memory that malloc has back: what is left in it says nothing. Known of glibc's malloc, whose chunks are walked; of all
// other memory it is never said that it was freed.
#pragma once

#include "memory.h"
#include "process.h"

#include <cstdint>

namespace hot_fix {

/** Learns by what a freed chunk is told. Calls malloc: to be asked before threads are parked. */
void learn_freed_memory();

class FreedMemory {
public:
  struct Chunk {
    std::uintptr_t start, end;
    bool is_free;
  };

  /** Walks the heaps. */
  void read(const MemoryMap &map);

  /** Whether the word, at its address, is in memory that was freed, or is malloc's own. */
  bool holds(std::uintptr_t address, std::uintptr_t word) const;

private:
  const Chunk *chunk_at(std::uintptr_t address) const;

  List<Chunk> chunks_; // sorted
  const MemoryMap *map_ = nullptr;
};

} // namespace hot_fix
