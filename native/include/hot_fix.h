/* The public interface of the hot_fix runtime: what a program calls so that its functions can be replaced while it
 * runs, and what a hand-written patch defines. C and C++; nothing here allocates or keeps the caller's memory. */
#ifndef HOT_FIX_H
#define HOT_FIX_H

#include <stddef.h>

#define HOT_FIX_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* One replacement of a hand-written patch. The patch, a shared object, defines `FIXTABLE fix_table` (or an array
 * of them) with C++ or C linkage as a plain variable:
 *
 *     FIXTABLE fix_table = {(void *)new_function, (void *)old_function};
 */
typedef struct {
  void *new_func; /* in the patch */
  void *old_func; /* in the program, which must export it (link with -rdynamic) */
} FIXTABLE;

/* Everything is optional: a zeroed structure (with `size` set) means the defaults. The environment variables
 * HOT_FIX_SIGNAL and HOT_FIX_PATCH, where set, come before what is given here. */
struct hot_fix_options {
  size_t size;       /* sizeof(struct hot_fix_options) */
  int signal;        /* the doorbell signal; 0: a free real-time signal, and SIGUSR1 as well while nothing handles it */
  const char *patch; /* the hand-written patch that a plain `kill -USR1` loads; NULL: "./patch.so". A file that others
                        could have written, or could exchange, is not loaded */
};

/* Starts the runtime: a worker thread, the doorbell signal and the control directory. Call it once, early in main.
 * A second call, or a call in a program that was started with the runtime preloaded, changes only what a plain
 * `kill -USR1` loads. Returns 0 when the process can be patched from now on. Else -1 with errno set, and the process
 * runs on as it would have; a later call tries again. EPERM: it has more rights than whoever started it, as
 * set-user-ID programs have. EBUSY: no signal is free. EAGAIN: no thread can be started. Others: the control directory
 * cannot be written. */
int hot_fix_init(const struct hot_fix_options *options);

/* The same with the defaults: the published interface. */
int init_hot_fix_signal(void);

#ifdef __cplusplus
}
#endif

#endif
