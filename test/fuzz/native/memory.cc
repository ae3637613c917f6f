// The runtime's memory for the fuzz targets: from malloc, so that the address sanitizer sees its bounds. Takes the
// place of native/src/memory.cc, and of what native/src/process.cc reads the process with.
#include "memory.h"
#include "process.h"

#include <cstdlib>
#include <sys/uio.h>
#include <unistd.h>

namespace hot_fix {

void *map_pages(std::size_t size) { return std::calloc(1, size); }
void unmap_pages(void *pages, std::size_t) { std::free(pages); }

std::size_t read_memory(std::uintptr_t address, void *to, std::size_t length) {
  const iovec local{to, length}, remote{reinterpret_cast<void *>(address), length};
  const ssize_t count = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

} // namespace hot_fix
