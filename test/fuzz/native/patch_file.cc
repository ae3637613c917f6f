// Patch files (native/src/patch_file.cc and unwind_records.cc): any file, read, mapped where it says and checked as the
// loader does (native/src/loader.cc), up to where addresses of the process come in.
#include "patch_file.h"
#include "unwind_records.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace hot_fix;

namespace {

constexpr std::uint64_t page_size = 4096;

/** The pages of a file's segments, for as long as it lives. */
class Mapped {
public:
  Mapped(const PatchFile &file, int descriptor) : file_(file) {
    for (; count_ < file.segment_count && map(file.segments[count_], descriptor); count_++) {
    }
  }
  Mapped(const Mapped &) = delete;
  Mapped &operator=(const Mapped &) = delete;
  ~Mapped() {
    for (std::size_t i = 0; i < count_; i++) {
      const Segment &segment = file_.segments[i];
      munmap(reinterpret_cast<void *>(segment.page_start()), segment.page_end() - segment.page_start());
    }
  }
  bool is_complete() const { return count_ == file_.segment_count; }

private:
  static bool map(const Segment &segment, int descriptor) {
    const std::uint64_t length = segment.page_end() - segment.page_start();
    void *const place = reinterpret_cast<void *>(segment.page_start());
    void *const found = mmap(place, length, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (found != place) return false;
    const std::uint64_t lead = segment.address & (page_size - 1);
    auto *const bytes = static_cast<char *>(place) + lead;
    return pread(descriptor, bytes, segment.file_size, static_cast<off_t>(segment.offset)) >= 0;
  }

  const PatchFile &file_;
  std::size_t count_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const int descriptor = memfd_create("patch", MFD_CLOEXEC);
  if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  PatchFile file;
  PatchNote note;
  Failure failure;
  if (!read_patch_headers(descriptor, "patch", file, failure)) return 0;
  const Mapped mapped(file, descriptor);
  if (!mapped.is_complete()) return 0;
  if (!read_patch_note(file, "patch", note, failure) || !check_eh_frame(file, note, "patch", failure)) return 0;
  holds_only_versions(descriptor, file, note);
  return 0;
}
