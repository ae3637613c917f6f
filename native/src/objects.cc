// The new objects of a patch.
#include "objects.h"

#include "guarded_call.h"

#include "poison.h"

extern "C" int __cxa_atexit(void (*function)(void *), void *argument, void *dso_handle);

namespace hot_fix {
namespace {

using Function = void (*)(void *);

bool failed(const PatchObject &object, const CallResult &result, Failure &failure) {
  const char *name = reinterpret_cast<const char *>(object.name);
  if (result.ending == Ending::crashed) {
    return fail(failure, Code::constructor_failed, 0, name, "%s could not be constructed: its code ended with %s", name,
                fatal_signal_name(result.signal));
  }
  const char *what = result.what[0] != '\0' ? result.what : "an exception";
  return fail(failure, Code::constructor_failed, 0, name, "%s could not be constructed: its code threw %s", name, what);
}

} // namespace

bool construct_objects(LoadedPatch &patch, Failure &failure) {
  const auto *objects = reinterpret_cast<const PatchObject *>(patch.note.objects);
  for (std::uint32_t i = 0; i < patch.note.object_count; i++) {
    const PatchObject &object = objects[i];
    auto *argument = reinterpret_cast<void *>(object.argument);
    patch.constructed = true;
    if (object.construct != 0) {
      CallResult result;
      guarded_call(reinterpret_cast<Function>(object.construct), argument, result);
      if (result.ending != Ending::returned) return failed(object, result, failure);
    }
    // The C++ ABI's own way (3.3.5): in reverse order, at exit or when the module is closed.
    if (object.destroy != 0) {
      __cxa_atexit(reinterpret_cast<Function>(object.destroy), argument, reinterpret_cast<void *>(patch.note.dso_handle));
    }
  }
  return true;
}

} // namespace hot_fix
