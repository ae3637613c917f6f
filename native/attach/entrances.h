// The functions of the process's own C library that the borrowed thread and the new thread call.
#pragma once

#include "failure.h"
#include "modules.h"

#include <cstdint>

namespace hot_fix {

/** Addresses in the process. */
struct Entrances {
  std::uint64_t attribute_init, set_detached, set_stack_size, create_thread; // pthread_attr_…, pthread_create
  std::uint64_t errno_location, dlopen, dlsym, dlerror, munmap;
  std::uint64_t dlopen_flags; // RTLD_NOW, with what the function needs besides
};

/** Finds them, and marks the modules in which a thread must not be borrowed: libc, the loader, the vdso, whatever
 * else defines malloc or pthread_create. Where a program without threads has not loaded the library that its glibc has
 * for them, `create_thread` or `set_stack_size` is 0. False: old-libc. */
bool find_entrances(Modules &modules, Entrances &entrances, Failure &failure);

/** Is the process's glibc one before 2.34, with threads and dlopen in libraries of their own? */
bool has_old_libc(const Modules &modules, const Entrances &entrances);

} // namespace hot_fix
