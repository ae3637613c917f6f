// Who may decide what runs in this process: whether it has more rights than whoever started it, and whether a file
// could have been written by somebody else. Looks at ids, owners and modes; changes nothing.
#pragma once

#include "failure.h"

#include <sys/types.h>

namespace hot_fix {

/** Whether the process has more rights than whoever started it: a set-user-ID or set-group-ID program, file
 * capabilities (AT_SECURE, getauxval(3)), or ids that differ from each other. Its surroundings (environment, current
 * directory) are then a stranger's. */
bool is_privileged();

/** Is every user id of the process that of one other user? Then there is no way back to `user`. */
bool is_for_good_another_user_than(uid_t user);

/** Opens a file to read that only the effective user or root can have written: it belongs to one of them, nobody else
 * may write to it or to its directory, and nobody else can exchange a part of its path. Returns a descriptor; -1 with
 * untrusted-patch-file, or with `missing` when it cannot be opened. */
int open_trusted(const char *path, Code missing, Failure &failure);

} // namespace hot_fix
