// Unwind records (native/src/unwind_records.cc): any bytes as the .eh_frame of a patch, at an address of its own. A
// block of the same size behind it is the code that records may be for.
#include "unwind_records.h"

#include <cstdlib>

using namespace hot_fix;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  void *records = nullptr;
  if (size == 0 || posix_memalign(&records, 16, size) != 0) return 0;
  std::memcpy(records, data, size);
  const auto start = reinterpret_cast<std::uint64_t>(records);
  PatchFile file{};
  file.segments[0] = {start, size, 0, size, false, false};
  file.segment_count = 1;
  PatchNote note{};
  note.eh_frame = start;
  note.eh_frame_size = size;
  Failure failure;
  check_eh_frame(file, note, "records", failure);
  std::free(records);
  return 0;
}
