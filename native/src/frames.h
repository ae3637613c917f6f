// Exception frames of loaded patches: makes them known to the unwinder of the process, so that exceptions pass
// through patched functions. Registers what was checked before (check_eh_frame); parses nothing.
#pragma once

#include <cstdint>

namespace hot_fix {

/** False when the process has no unwinder at all; then no exception can pass through either. */
bool register_frames(std::uint64_t eh_frame);
void deregister_frames(std::uint64_t eh_frame);

} // namespace hot_fix
