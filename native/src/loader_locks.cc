// Finds the loader's locks by having one. Inside of dl_iterate_phdr the worker has _dl_load_write_lock, a recursive mutex
// that says who its owner is, and that lies in _rtld_global. In front of it lies _dl_load_lock: glibc's ldsodefs.h
// declares the two side by side in every version. That one, which dlopen and dlsym take, is not taken here: whoever
// loads a library has it for as long as the constructors run.
#include "loader_locks.h"

#include "module.h"

#include <cstdint>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

const pthread_mutex_t *load_lock, *load_write_lock; // null: not found

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

bool is_recursive(const pthread_mutex_t &mutex) { return mutex.__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP; }

bool is_ours_now(const pthread_mutex_t &mutex) {
  const auto &data = mutex.__data;
  return is_recursive(mutex) && data.__lock != 0 && data.__count == 1 && data.__owner == own_tid();
}

void find_in(std::uintptr_t start, std::uintptr_t end) {
  const auto mutex_at = [](std::uintptr_t at) { return reinterpret_cast<const pthread_mutex_t *>(at); };
  for (std::uintptr_t at = start + sizeof(pthread_mutex_t); at + sizeof(pthread_mutex_t) <= end; at += 8) {
    const pthread_mutex_t *before = mutex_at(at - sizeof(pthread_mutex_t));
    if (!is_ours_now(*mutex_at(at)) || !is_recursive(*before)) continue;
    load_lock = before;
    load_write_lock = mutex_at(at);
  }
}

bool has_other_owner(const pthread_mutex_t &mutex) {
  const int owner = __atomic_load_n(&mutex.__data.__owner, __ATOMIC_SEQ_CST);
  return owner != own_tid() && (owner != 0 || __atomic_load_n(&mutex.__data.__lock, __ATOMIC_SEQ_CST) != 0);
}

} // namespace

void find_loader_locks() {
  if (load_lock == nullptr) visit_loader_variable("_rtld_global", find_in);
}

bool may_loader_be_locked() {
  return load_lock == nullptr || has_other_owner(*load_lock) || has_other_owner(*load_write_lock);
}

} // namespace hot_fix
