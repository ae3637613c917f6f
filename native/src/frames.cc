// Exception frames of loaded patches, through libgcc's __register_frame. A program may carry an unwinder of its own
// (libgcc linked statically) beside the shared one: both are told.
#include "frames.h"

#include <dlfcn.h>

#include "poison.h"

extern "C" __attribute__((weak)) void __register_frame(void *);
extern "C" __attribute__((weak)) void __deregister_frame(void *);

namespace hot_fix {
namespace {

using FrameFunction = void (*)(void *);

struct Unwinders {
  FrameFunction register_own, deregister_own, register_shared, deregister_shared;
};

FrameFunction look_up(void *handle, const char *name) { return reinterpret_cast<FrameFunction>(dlsym(handle, name)); }

const Unwinders &unwinders() {
  static Unwinders found;
  if (found.register_own != nullptr || found.register_shared != nullptr) return found;
  found.register_own = __register_frame;
  found.deregister_own = __deregister_frame;
  found.register_shared = look_up(RTLD_DEFAULT, "__register_frame");
  found.deregister_shared = look_up(RTLD_DEFAULT, "__deregister_frame");
  if (found.register_shared == nullptr) {
    // A C program has none until it unwinds for the first time (pthread_cancel, backtrace): glibc then loads this
    // very library.
    void *library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) {
      found.register_shared = look_up(library, "__register_frame");
      found.deregister_shared = look_up(library, "__deregister_frame");
    }
  }
  if (found.register_own == found.register_shared) found.register_own = found.deregister_own = nullptr;
  return found;
}

} // namespace

bool register_frames(std::uint64_t eh_frame) {
  const Unwinders &to = unwinders();
  void *frames = reinterpret_cast<void *>(eh_frame);
  if (to.register_own != nullptr) to.register_own(frames);
  if (to.register_shared != nullptr) to.register_shared(frames);
  return to.register_own != nullptr || to.register_shared != nullptr;
}

void deregister_frames(std::uint64_t eh_frame) {
  const Unwinders &from = unwinders();
  void *frames = reinterpret_cast<void *>(eh_frame);
  if (from.deregister_own != nullptr) from.deregister_own(frames);
  if (from.deregister_shared != nullptr) from.deregister_shared(frames);
}

} // namespace hot_fix
