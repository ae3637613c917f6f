// glibc 2.34 and newer has everything in libc.so.6. Before, threads are in libpthread, and dlopen is in libdl, which
// may not be loaded: libc then offers its own, `__libc_dlopen_mode`.
#include "entrances.h"

#include <dlfcn.h>
#include <initializer_list>

namespace hot_fix {
namespace {

/** What glibc's internal entrance requires besides (its own dlfcn/dlfcn.h): "this is a call of dlopen". */
constexpr std::uint64_t internal_mode = 0x80000000;

} // namespace

bool find_entrances(Modules &modules, Entrances &entrances, Failure &failure) {
  const Module *libc = nullptr;
  if (modules.find("__libc_start_main", &libc) == 0) {
    return fail(failure, Code::old_libc, 0, nullptr, "The process has no C library that is known here");
  }
  entrances.create_thread = modules.find("pthread_create");
  entrances.attribute_init = modules.find("pthread_attr_init");
  entrances.set_detached = modules.find("pthread_attr_setdetachstate");
  entrances.set_stack_size = modules.find("pthread_attr_setstacksize");
  entrances.errno_location = modules.find_in(*libc, "__errno_location");
  entrances.munmap = modules.find_in(*libc, "munmap");
  entrances.dlopen = modules.find("dlopen");
  entrances.dlsym = modules.find("dlsym");
  entrances.dlerror = modules.find("dlerror");
  entrances.dlopen_flags = RTLD_NOW;
  if (entrances.dlopen == 0 || entrances.dlsym == 0 || entrances.dlerror == 0) {
    entrances.dlopen = modules.find_in(*libc, "__libc_dlopen_mode");
    entrances.dlsym = modules.find_in(*libc, "__libc_dlsym");
    entrances.dlerror = 0;
    entrances.dlopen_flags = RTLD_NOW | internal_mode;
  }
  if (entrances.attribute_init == 0 || entrances.set_detached == 0 || entrances.errno_location == 0 ||
      entrances.munmap == 0 || entrances.dlopen == 0 || entrances.dlsym == 0) {
    return fail(failure, Code::old_libc, 0, nullptr, "The C library of the process has no usable dlopen");
  }
  // Those of an old glibc can be loaded: by the borrowed thread, which is the only one then.
  if ((entrances.create_thread == 0 || entrances.set_stack_size == 0) && !has_old_libc(modules, entrances)) {
    return fail(failure, Code::old_libc, 0, nullptr, "The C library of the process has no usable pthread_create");
  }
  modules.mark_unsafe(libc->start);
  for (const char *symbol : {"malloc", "free", "pthread_create", "__tls_get_addr", "__vdso_clock_gettime"}) {
    modules.mark_unsafe(modules.find(symbol));
  }
  return true;
}

bool has_old_libc(const Modules &modules, const Entrances &entrances) {
  return modules.find_in(*modules.at(entrances.munmap), "dlopen") == 0;
}

} // namespace hot_fix
