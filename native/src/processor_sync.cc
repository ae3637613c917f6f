// Serialisation by membarrier(2), or where that is missing by the interrupt that a change of protection sends to
// the processors of the process (returning from it serialises).
#include "processor_sync.h"

#include "arch_x86_64.h"
#include "memory.h"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

bool has_membarrier;
char *page; // of the substitute

} // namespace

bool prepare_synchronization(Failure &failure) {
  has_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0;
  if (has_membarrier) return true;
  if (page == nullptr) page = static_cast<char *>(map_pages(arch::page_size));
  return page != nullptr || fail(failure, Code::out_of_memory, 0, nullptr, "no memory for one page");
}

void synchronize_processors() {
  if (has_membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) == 0) return;
  if (page == nullptr) return;
  mprotect(page, arch::page_size, PROT_READ | PROT_WRITE);
  __atomic_store_n(page, static_cast<char>(1), __ATOMIC_SEQ_CST); // present, so that taking it away must be announced
  mprotect(page, arch::page_size, PROT_NONE);
}

} // namespace hot_fix
