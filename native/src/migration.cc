// The migration of objects, and the thread on which the program's part of it runs.
//
// The worker and that thread take turns. What they share is in memory of the runtime's own, and stays there when the thread
// does not come back in its time: it then only writes where nobody looks any more.
#include "migration.h"

#include "doorbell.h"
#include "freed_memory.h"
#include "futex.h"
#include "guarded_call.h"
#include "held_threads.h"
#include "migrating_objects.h"
#include "pointer_search.h"
#include "process.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {

/** What the worker and the thread have in common. */
struct MigrationWork : MigratingObjects {
  int (*migrate)(const hot_fix_object *);
  std::size_t written;    // pointers, in the order of the places

  std::atomic<std::uint32_t> turn; // a futex word: counts the tasks that were given
  std::atomic<std::uint32_t> done; // a futex word: and those that were done
  std::uint32_t task;
  bool is_live; // of the release
  unsigned type;        // that is being worked on
  const char *function; // of the program, which is called
  enum { none, no_room, no_memory, several, returned } reason;
  int value; // what was returned
  CallResult result;
  // Between the two the thread may add to a list; when it is left alone, it is so outside of that.
  std::atomic<bool> is_left_alone, is_adding;
  bool has_thread;
  std::atomic<bool> has_ended; // by itself
  pthread_t thread;
  char *stack;
};

namespace {

constexpr std::size_t stack_size = 8 << 20;
constexpr std::uint64_t release_limit = 1000000; // microseconds
std::atomic<MigrationWork *> current;            // for the function that tells what becomes of a pointer
std::atomic<int> migrating_tid;

void visit_place(void **place, void *visitor) {
  auto &work = *static_cast<MigrationWork *>(visitor);
  if (place == nullptr) return;
  const auto object = reinterpret_cast<std::uintptr_t>(*static_cast<void *volatile *>(place)); // a fault is the program's
  if (object == 0) return;
  work.is_adding.store(true);
  if (!work.is_left_alone.load() && !work.places[work.type].add({place, object})) work.reason = MigrationWork::no_room;
  work.is_adding.store(false);
}

void *tell_moved(const void *pointer) {
  MigrationWork *work = current.load();
  const Object *object = work != nullptr ? work->object_at(reinterpret_cast<std::uintptr_t>(pointer)) : nullptr;
  return object != nullptr ? object->after : const_cast<void *>(pointer);
}

void enumerate_all(MigrationWork &work) {
  work.function = "enumerate";
  for (work.type = 0; work.type < work.type_count && work.reason == MigrationWork::none; work.type++) {
    const hot_fix_migration &functions = work.types[work.type].functions;
    functions.enumerate(visit_place, &work, functions.context);
  }
}

/** Whether memory of malloc has room for a second object: then it is an array, of which nobody counts the elements. */
bool holds_several(const Object &object, std::size_t size) {
  constexpr std::size_t most_added = 32; // to what was asked for
  const std::size_t usable = malloc_usable_size(reinterpret_cast<void *>(object.before));
  return usable >= 2 * size && usable >= size + most_added;
}

void allocate_all(MigrationWork &work) {
  work.function = "allocate";
  for (Object &object : work.objects) {
    work.type = object.type;
    const MigratingType &type = work.types[object.type];
    const auto allocate = type.functions.allocate;
    if (allocate == nullptr && holds_several(object, type.before)) {
      work.reason = MigrationWork::several;
      return;
    }
    void *memory = allocate != nullptr ? allocate(type.after, type.functions.context) : std::malloc(type.after);
    if (memory == nullptr) {
      work.reason = MigrationWork::no_memory;
      return;
    }
    std::memset(memory, 0, type.after);
    object.after = memory;
    if (work.is_left_alone.load()) return;
  }
}

void build_all(MigrationWork &work) {
  allocate_all(work);
  if (work.reason != MigrationWork::none) return;
  work.function = "hot_fix_migrate";
  for (const Object &object : work.objects) {
    if (work.reason != MigrationWork::none || work.is_left_alone.load()) return;
    work.type = object.type;
    const MigratingType &type = work.types[object.type];
    const hot_fix_object told{sizeof told,  type.name, reinterpret_cast<const void *>(object.before),
                              type.before, object.after, type.after,
                              tell_moved};
    work.value = work.migrate(&told);
    if (work.value != 0) work.reason = MigrationWork::returned;
  }
  work.function = "enumerate"; // it gave the places
  for (unsigned type = 0; type < work.type_count; type++) {
    for (const Place &place : work.places[type]) {
      if (work.reason != MigrationWork::none || work.is_left_alone.load()) return;
      // One in an old object is gone with it.
      const bool is_gone = work.object_around(reinterpret_cast<std::uintptr_t>(place.address)) != nullptr;
      work.type = type;
      if (!is_gone) *static_cast<void *volatile *>(place.address) = work.object_at(place.object)->after;
      work.written++;
    }
  }
}

void release_all(MigrationWork &work) {
  work.function = "release";
  for (Object &object : work.objects) {
    work.type = object.type;
    const hot_fix_migration &functions = work.types[object.type].functions;
    void *memory = work.is_live ? reinterpret_cast<void *>(object.before) : object.after;
    if (memory == nullptr || work.is_left_alone.load()) continue;
    if (functions.release != nullptr) {
      functions.release(memory, functions.context);
    } else if (!work.is_live && functions.allocate == nullptr) {
      std::free(memory);
    }
  }
}

/** One turn after another, until there is no other. */
void take_turns(MigrationWork &work) {
  static constexpr void (*tasks[])(MigrationWork &) = {enumerate_all, build_all, release_all};
  for (std::uint32_t number = 1;; number++) {
    while (work.turn.load() == number - 1) wait_while(work.turn, number - 1, monotonic_microseconds() + release_limit);
    if (work.task >= sizeof tasks / sizeof *tasks) return;
    struct Call {
      MigrationWork &work;
      void (*function)(MigrationWork &);
    } call{work, tasks[work.task]};
    const auto make = [](void *given) {
      const Call &one = *static_cast<Call *>(given);
      one.function(one.work);
    };
    guarded_call(make, &call, work.result);
    if (work.is_left_alone.load()) return;
    store_and_wake(work.done, number + 1);
  }
}

/** The program's function ends the thread (pthread_exit). */
void end_early(void *argument) {
  auto &work = *static_cast<MigrationWork *>(argument);
  abandon_guarded_call();
  work.result.ending = Ending::ended_thread;
  work.has_ended.store(true);
  if (!work.is_left_alone.load()) store_and_wake(work.done, work.turn.load() + 1);
}

void *run_migration(void *argument) {
  auto &work = *static_cast<MigrationWork *>(argument);
  allow_faults_and(0);
  prctl(PR_SET_NAME, "hot_fix_migrate");
  migrating_tid.store(static_cast<int>(syscall(SYS_gettid)));
  store_and_wake(work.done, 1); // it is there
  pthread_cleanup_push(end_early, argument);
  take_turns(work);
  pthread_cleanup_pop(0);
  return nullptr;
}

/** What came of a turn. */
bool tell(const MigrationWork &work, Failure &failure) {
  const CallResult &result = work.result;
  const char *type = work.types[std::min(work.type, work.type_count - 1)].name;
  const auto say = [&](const char *what, const char *which) {
    return fail(failure, Code::migration_failed, 0, nullptr, "%s of `%s` %s%s", work.function, type, what, which);
  };
  if (result.ending == Ending::ended_thread) return say("ended its thread", "");
  if (result.ending == Ending::crashed) return say("ended with ", fatal_signal_name(result.signal));
  if (result.ending == Ending::threw) return say("threw ", result.what[0] != '\0' ? result.what : "an exception");
  char value[32];
  std::snprintf(value, sizeof value, "%d", work.value);
  switch (work.reason) {
  case MigrationWork::none:
    return true;
  case MigrationWork::no_room:
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for the objects of `%s`", type);
  case MigrationWork::no_memory:
    return say("gave no memory", "");
  case MigrationWork::several:
    return fail(failure, Code::migration_failed, 0, nullptr,
                "the migration of `%s` visited a pointer to memory that has room for several objects: each must have been "
                "allocated by itself",
                type);
  case MigrationWork::returned:
    return say("returned ", value);
  }
  return true;
}

} // namespace

bool is_migrating(int tid) { return migrating_tid.load() == tid; }

bool Migration::prepare(const Request &request, Failure &failure) {
  if (request.migrated.empty()) return true;
  int held = 0;
  if (tracer() != 0) return fail(failure, Code::tracer_attached, 0, nullptr, "objects are not migrated under a debugger");
  if (is_any_held(held)) {
    return fail(failure, Code::thread_held, 0, nullptr, "thread %d is held after a crash, and may have objects of the old layout",
                held);
  }
  request_ = &request;
  void *memory = map_pages(sizeof(MigrationWork)), *stack = map_pages(stack_size);
  if (memory == nullptr || stack == nullptr || request.migrated.size() > most_types) {
    return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for the migration of %zu types", request.migrated.size());
  }
  work_ = new (memory) MigrationWork();
  work_->stack = static_cast<char *>(stack);
  work_->migrate = reinterpret_cast<int (*)(const hot_fix_object *)>(request.migrator);
  std::uint64_t limit = 0;
  for (const MigratedType &wanted : request.migrated) {
    MigratingType &type = work_->types[work_->type_count++];
    if (std::strlen(wanted.type) >= longest_type || !find_migration(wanted.type, type.functions)) {
      return fail(failure, Code::migration_failed, 0, nullptr,
                  "the program has added no migration of `%s` (hot_fix_add_migration in hot_fix.h)", wanted.type);
    }
    std::strcpy(type.name, wanted.type);
    type.before = wanted.before;
    type.after = wanted.after;
    limit = std::max(limit, type.functions.time_limit * std::uint64_t{1000});
  }
  time_left_ = limit;
  learn_freed_memory();
  work_->learn_variables();
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, stack_size);
  const int error_number = pthread_create(&work_->thread, &attributes, run_migration, work_);
  pthread_attr_destroy(&attributes);
  if (error_number != 0) {
    return fail(failure, Code::migration_failed, error_number, nullptr, "no thread could be started for the migration");
  }
  work_->has_thread = true;
  while (work_->done.load() == 0) wait_while(work_->done, 0, monotonic_microseconds() + release_limit);
  return true;
}

/** One turn of the thread, for which it has so many microseconds. */
bool Migration::run(Task task, std::uint64_t limit, Failure &failure) {
  MigrationWork &work = *work_;
  work.task = static_cast<std::uint32_t>(task);
  work.reason = MigrationWork::none;
  const std::uint64_t begin = monotonic_microseconds();
  const std::uint32_t before = work.done.load();
  store_and_wake(work.turn, before);
  while (work.done.load() == before && wait_while(work.done, before, begin + limit)) {
  }
  if (work.done.load() != before) return tell(work, failure);
  work.is_left_alone.store(true);
  while (work.is_adding.load()) pause_microseconds(10);
  migrating_tid.store(0);
  pthread_detach(work.thread);
  const char *type = work.types[std::min(work.type, work.type_count - 1)].name;
  return fail(failure, Code::migration_failed, 0, nullptr,
              "%s of `%s` did not return in %u ms, and is left alone; it may have waited for a lock of a thread that stood still",
              work.function, type, static_cast<unsigned>(limit / 1000));
}

bool Migration::enumerate(Failure &failure) {
  const std::uint64_t begin = monotonic_microseconds();
  if (!run(Task::enumerate, time_left_, failure)) return false;
  time_left_ -= std::min(time_left_ - 1, monotonic_microseconds() - begin);
  return work_->list(failure);
}

bool Migration::carry_out(bool &ran, Failure &failure) {
  ran = true;
  current.store(work_);
  const bool is_built = run(Task::build, time_left_, failure);
  if (is_built && is_nothing_left(failure)) return true;
  put_back();
  return false;
}

bool Migration::is_nothing_left(Failure &failure) const {
  List<Span> spans;
  bool complete = true;
  for (const Object &object : work_->objects) {
    const MigratingType &type = work_->types[object.type];
    complete = spans.add({object.before, object.before + type.before, type.name, true}) && complete;
  }
  for (const Guard &code : request_->unreferenced) {
    complete = spans.add({code.start, code.start + code.length, code.name, false}) && complete;
  }
  if (!complete) return fail(failure, Code::out_of_memory, 0, nullptr, "no memory for the objects");
  return no_pointer_is_left(spans, request_->quiet, failure);
}

/** The pointers lead to the old objects again. */
void Migration::put_back() {
  for (unsigned type = 0; type < work_->type_count; type++) {
    for (const Place &place : work_->places[type]) {
      if (work_->written == 0) return;
      work_->written--;
      const bool is_gone = work_->object_around(reinterpret_cast<std::uintptr_t>(place.address)) != nullptr;
      if (!is_gone) *place.address = reinterpret_cast<void *>(place.object);
    }
  }
}

void Migration::release(bool is_live, List<Failure> &warnings) {
  if (work_ == nullptr) return;
  current.store(nullptr);
  if (!work_->has_thread || work_->is_left_alone.load() || work_->has_ended.load()) return;
  work_->is_live = is_live;
  Failure failure;
  if (run(Task::release, release_limit, failure)) return;
  failure.code = Code::hook_failed;
  warnings.add(failure);
}

void Migration::note(List<MigratedType> &migrated) const {
  if (work_ == nullptr) return;
  for (unsigned type = 0; type < work_->type_count; type++) {
    const auto count = std::count_if(work_->objects.begin(), work_->objects.end(),
                                     [type](const Object &object) { return object.type == type; });
    MigratedType done = request_->migrated[type];
    done.objects = static_cast<std::uint64_t>(count);
    migrated.add(done);
    LiveLayout *layout = layout_of(done.type);
    if (layout == nullptr) continue;
    std::snprintf(layout->layout, sizeof layout->layout, "%s", done.layout);
  }
}

Migration::~Migration() {
  if (work_ == nullptr) return;
  current.store(nullptr);
  if (work_->is_left_alone.load()) return; // the thread may come back to it
  work_->task = static_cast<std::uint32_t>(Task::end);
  store_and_wake(work_->turn, work_->done.load());
  if (work_->has_thread) pthread_join(work_->thread, nullptr);
  migrating_tid.store(0);
  unmap_pages(work_->stack, stack_size);
  work_->~MigrationWork();
  unmap_pages(work_, sizeof(MigrationWork));
}

} // namespace hot_fix
