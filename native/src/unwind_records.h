// The unwind records of a patch (.eh_frame, LSB core specification 10.6), checked before the unwinder has them: on what
// it does not know it ends the process.
#pragma once

#include "failure.h"
#include "patch_file.h"

namespace hot_fix {

/** Checks each record of the mapped patch: its place, the code that it is for, its augmentation, and that its
 * instructions (DWARF 4, section 6.4.2) are those of compilers for this architecture. Fails with bad-patch-file. */
bool check_eh_frame(const PatchFile &file, const PatchNote &note, const char *path, Failure &failure);

} // namespace hot_fix
