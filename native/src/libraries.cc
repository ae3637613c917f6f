#include "libraries.h"

#include "threads.h"

#include <cstring>
#include <dlfcn.h>

#include "poison.h"

namespace hot_fix {
namespace {

// As a library that the program is linked with: its names are everybody's, and it is never closed.
constexpr int for_all = RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE;

const char *file_name(const char *path) {
  const char *slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

} // namespace

bool load_library(const char *name, Failure &failure) {
  // A copy of it by another path would be a second one.
  if (dlopen(file_name(name), for_all | RTLD_NOLOAD) != nullptr) return true;
  if (is_alone()) {
    return fail(failure, Code::tracer_attached, 0, nullptr,
                "%s cannot be loaded while a debugger holds the program's threads", name);
  }
  if (dlopen(name, for_all) != nullptr) return true;
  const char *why = dlerror();
  return fail(failure, Code::library_not_loaded, 0, nullptr, "%s", why != nullptr ? why : name);
}

} // namespace hot_fix
