// The control directory (docs/PROTOCOL.md, section 1): where requests come from and answers go. Every step goes
// from the base downwards without following symbolic links, and checks owner and mode; no descriptor is kept open,
// as programs close descriptors that they do not know.
#pragma once

#include "failure.h"
#include "memory.h"

namespace hot_fix {

/** Finds the base directory from the environment. Called once, before there is a worker. */
void choose_base_directory();

/** Creates this process's directory, in place of a stale one of the same pid. Where the user's directory is not ours
 * alone, another is used. */
bool create_control_directory(Failure &failure);

/** Whether the process has become another user's for good since, who cannot use that directory. One that has not given
 * up the way back may be about to take it. */
bool has_changed_user();

/** Which directory could not be used, and why, in words; "" when the first one could. */
const char *passed_over_directory();

/** Removes it with all it holds. Only what belongs to this very process. */
void remove_control_directory();

/** Removes the directories of processes that have ended. */
void sweep_stale_directories();

/** Writes a file of the directory whole or not at all; `name` may be `answers/NAME`. */
bool write_control_file(const char *name, const Buffer &content);

/** Removes such a file. */
void remove_control_file(const char *name);

/** Removes a patch file when it is one of `patches/`. */
void remove_patch_file(const char *path);

/** Takes the oldest request: its text (empty when it cannot be read), NUL-terminated, and its file is gone. False
 * when there is none. */
bool take_request(char (&id)[65], Buffer &text);

/** Opens a patch file to read: one of `patches/`, or one that is trusted (trust.h). Returns a descriptor; -1 with
 * untrusted-patch-file, or with `missing` when it cannot be opened. */
int open_patch(const char *path, Code missing, Failure &failure);

/** Copies a file into `patches/` under that name and gives the copy's path. */
bool keep_patch_copy(int source, const char *name, char (&path)[512]);

} // namespace hot_fix
