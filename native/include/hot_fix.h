/* The public interface of the hot_fix runtime: what a program calls so that its functions can be replaced while it
 * runs, what it is told of that, and what a hand-written patch defines. C and C++; nothing here allocates or keeps the
 * caller's memory. A structure begins with its size, and fields are only ever added at its end: a program goes on working
 * with a runtime that is older or newer than the header it was built with. */
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

/* Hooks: functions of the program that are called before entries of functions change, and after that. They are called for
 * patches and for what takes them back (undo, revert, detach), once for each attempt: a save may come in two patches, the
 * edited functions first, and one that has to wait for a caller is tried again.
 *
 * They run outside of the change itself, on a thread of the runtime, the same one for both calls, with all signals
 * of the program blocked but those of faults: they may lock, allocate, fork, and call functions that are being patched.
 * The first that was added is called first before a patch, and last after it. A hook tells the program and does not hold up
 * a save: one that throws, crashes, ends its thread or does not return in its time is reported with the code hook-failed,
 * and the save goes on. One that has not returned yet is left out by the next. */

/* One function of a patch. */
struct hot_fix_function {
  size_t size;           /* sizeof(struct hot_fix_function) as the runtime has it */
  const char *symbol;    /* as in the symbol table: the names of C++ are mangled */
  const char *module;    /* the path of the program or library */
  void *entry;           /* what its callers call, before the patch and after it */
  unsigned old_version;  /* 0: as it was built */
  unsigned new_version;  /* 0: it goes back to how it was built */
  const void *old_code;  /* where the versions are */
  const void *new_code;
};

/* What a hook is told, valid until it returns. */
struct hot_fix_patch {
  size_t size; /* sizeof(struct hot_fix_patch) as the runtime has it */
  size_t file_count;
  const char *const *files; /* the sources that were saved; none for a hand-written patch, or when versions are chosen */
  size_t function_count;
  const struct hot_fix_function *const *functions;
  const char *error;   /* for after_patch: NULL when the new versions are live, else the code of what failed; nothing has
                          changed then */
  const char *message; /* of that failure; NULL when there is none */
};

struct hot_fix_hooks {
  size_t size; /* sizeof(struct hot_fix_hooks) */
  void (*before_patch)(const struct hot_fix_patch *patch, void *context); /* or NULL */
  /* Or NULL. Called as well when the patch failed, if before_patch was called for it. */
  void (*after_patch)(const struct hot_fix_patch *patch, void *context);
  void *context;       /* for both */
  unsigned time_limit; /* milliseconds for each call; 0: 1000. At most 3000, which are also for all hooks together */
};

/* Adds hooks, from any thread at any time, also before the runtime starts. Returns a positive number that stands for them;
 * else -1 with errno set. EINVAL: there is no function in it. ENOSPC: there are 32 already. */
int hot_fix_add_hooks(const struct hot_fix_hooks *hooks);

/* Removes them: they are not called any more, also not for a patch that is under way. Waits for one that runs, as long as
 * its time limit, unless a hook calls this. Returns 0; else -1 with errno set. EINVAL: there are no such hooks. EBUSY:
 * they are removed, and one of them has not returned yet. What is to be unloaded removes its hooks first; hooks of a
 * library that is no longer loaded are not called. */
int hot_fix_remove_hooks(int number);

/* Sync points: for a program that wants its functions to change only at one place, such as the end of a frame. After
 * hot_fix_use_sync_points(milliseconds) a patch, or what takes it back, is applied only while a thread of the program is in
 * hot_fix_can_patch_now(), together with the hooks and the constructors of new objects. A save waits for that as long, at
 * most 5000, and is refused then with the code no-sync-point: nothing has changed. With 0, which is how a program begins,
 * it is applied at any time. */
void hot_fix_use_sync_points(unsigned milliseconds);

/* Returns at once when no patch waits, which costs a load. Else the calling thread waits while the patch is applied:
 * returns 1 when it is live then, 0 when it failed. Where several threads come here, one waits and the others go on: what
 * must stand still is for the program to stop before. */
int hot_fix_can_patch_now(void);

/* Migrations: for a type of which the layout changes (a member comes, goes, or is of another type) while objects of it
 * exist. A save that does this is refused, unless the program has added a migration of the type, and the text that is
 * saved defines hot_fix_migrate. Then, in one transaction and while all threads of the program stand still, each object is
 * made anew in the new layout, every pointer to it is set to the new one, and the functions change. All of it happens, or
 * nothing.
 *
 * What the program promises: each object lies in memory of its own (no variable, no member, no element of an array), and
 * `enumerate` visits every place that holds a pointer to one. The runtime looks for pointers that were left out, in the
 * registers, on the stacks and in all memory that the program has written, and takes everything back when it finds one; what
 * it cannot see are pointers that are stored in another form than as an aligned address. */

/* Takes the address of a pointer to an object. A null pointer, or the same place once more, does no harm. */
typedef void (*hot_fix_visit)(void **place, void *visitor);

struct hot_fix_migration {
  size_t size;      /* sizeof(struct hot_fix_migration) */
  const char *type; /* its name with its namespaces, as in messages: "game::Player"; copied, at most 255 bytes */
  /* Calls visit(place, visitor) for all pointers to objects of the type. Runs as it was when the program was built, or
   * patched last, before anything changes. */
  void (*enumerate)(hot_fix_visit visit, void *visitor, void *context);
  /* Memory for one new object; NULL: malloc, and then the old ones must come from malloc, too. */
  void *(*allocate)(size_t size, void *context);
  /* Gives back the memory of one object: of the old ones when the save is live, else of the new ones. No destructor is
   * called. NULL: old objects are kept. */
  void (*release)(void *object, void *context);
  void *context;       /* for all three */
  unsigned time_limit; /* milliseconds for all objects; 0: 1000. At most 5000, which are also for all types together */
};

/* Adds a migration, from any thread at any time, also before the runtime starts. Returns a positive number that stands for
 * it; else -1 with errno set. EINVAL: the type or enumerate is missing, or the name too long. EEXIST: the type has one.
 * ENOSPC: there are 32 already. */
int hot_fix_add_migration(const struct hot_fix_migration *migration);

/* Removes it; one that is under way is carried out. Returns 0; else -1 with errno EINVAL: there is no such migration. What
 * is to be unloaded removes its migrations first. */
int hot_fix_remove_migration(int number);

/* One object that is made anew. */
struct hot_fix_object {
  size_t size;      /* sizeof(struct hot_fix_object) as the runtime has it */
  const char *type; /* as in the migration */
  const void *before;
  size_t before_size;
  void *after; /* zeroed memory in which nothing was constructed */
  size_t after_size;
  /* What becomes of a pointer to an object that migrates, also one that is made later: a pointer in the old object to
   * another, or to itself. NULL and all other pointers stay what they are. */
  void *(*moved)(const void *pointer);
};

/* Hooks by name: a program that defines one of these, or both, needs neither to add them nor to link the runtime. They
 * are found when the first patch comes, in the program (which needs its symbol table, and no -rdynamic) or in what it has
 * loaded with it. Called as if they had been added first, with the default time limit. */
#if defined(__has_attribute)
#if __has_attribute(retain)
#define HOT_FIX_BY_NAME __attribute__((used, retain, visibility("default")))
#endif
#endif
#ifndef HOT_FIX_BY_NAME
#define HOT_FIX_BY_NAME __attribute__((used, visibility("default")))
#endif
void hot_fix_before_patch(const struct hot_fix_patch *patch) HOT_FIX_BY_NAME;
void hot_fix_after_patch(const struct hot_fix_patch *patch) HOT_FIX_BY_NAME;

/* Defined in the text that is saved, with C linkage: fills in `after` from `before`, of which the old layout is in the header
 * that the refusal names. It is new code, and what it calls is new code as well. Returns 0; else the save is refused. It runs
 * on a thread of the runtime while the others stand still: a lock that one of them holds is not given back. */
int hot_fix_migrate(const struct hot_fix_object *object) HOT_FIX_BY_NAME;

#ifdef __cplusplus
}
#endif

#endif
