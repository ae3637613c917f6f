// The threads that call hooks.
//
// Each hook has a thread for the time of one change. It calls the first function, waits until the change is made or
// refused, and calls the second: what the program locked by the one is unlocked by the same thread in the other. Where
// the worker has waited long enough it goes on, and the thread is left alone; when the first function returns after all,
// the second is called with what came of the change, and the hook is idle again.
#include "hook_calls.h"

#include "doorbell.h"
#include "futex.h"
#include "guarded_call.h"
#include "hooks.h"
#include "parking.h"
#include "process.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {

enum : std::uint32_t { begun, told_before, over }; // HookCall::progress

struct HookCall {
  Hook *hook;
  int number; // of the hook; after it was removed, another may be in its place
  Occasion *occasion;
  std::atomic<std::uint32_t> progress; // a futex word
  std::atomic<std::uint32_t> turn;     // a futex word: 0 until the second function is due
  CallResult result;                   // of the function that was called last
  bool has_thread;                     // the first function was called
  bool is_left_alone;                  // it has not returned in time
  bool is_left_out;                    // it was not called
};

/** What hooks are told of one change, and who is told. Stays until the last thread has left it. */
struct Occasion {
  List<const char *> files{};
  List<hot_fix_function> functions{};
  List<const hot_fix_function *> function_pointers{};
  List<char> texts{};
  hot_fix_patch before{}, after{};
  char error[64] = "", message[768] = "";
  List<Hook *> hooks{};
  HookCall calls[most_hooks]{}; // one for each of the hooks
  std::atomic<unsigned> threads{};
  Occasion *next = nullptr;
};

namespace {

constexpr std::uint64_t all_together = 3000000, least = 100000; // microseconds
Occasion *left_over; // with threads that had not returned

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

void call_before(void *argument) {
  const auto &call = *static_cast<HookCall *>(argument);
  call.hook->functions.before_patch(&call.occasion->before, call.hook->functions.context);
}

void call_after(void *argument) {
  const auto &call = *static_cast<HookCall *>(argument);
  call.hook->functions.after_patch(&call.occasion->after, call.hook->functions.context);
}

bool moves_on(Hook &hook, std::uint32_t from, std::uint32_t to) {
  const bool moved = hook.state.compare_exchange_strong(from, to);
  wake_all(hook.state); // whoever removes it waits for that
  return moved;
}

void leave(Hook &hook) {
  hook.tid.store(0);
  if (!moves_on(hook, Hook::running, Hook::idle) && !moves_on(hook, Hook::waiting, Hook::idle)) {
    moves_on(hook, Hook::removed, Hook::free);
  }
}

void call_functions(HookCall &call) {
  Hook &hook = *call.hook;
  if (call.turn.load() != 0) {
    guarded_call(call_after, &call, call.result);
    return;
  }
  const int pid = getpid();
  guarded_call(call_before, &call, call.result);
  if (pid != getpid()) return; // a child that the hook forked: what goes on is its parent's affair
  moves_on(hook, Hook::running, Hook::waiting);
  store_and_wake(call.progress, told_before);
  while (call.turn.load() == 0) wait_while(call.turn, 0, monotonic_microseconds() + all_together);
  call.result = CallResult{};
  if (hook.functions.after_patch != nullptr && moves_on(hook, Hook::waiting, Hook::running)) {
    guarded_call(call_after, &call, call.result);
  }
}

void end_call(HookCall &call) {
  leave(*call.hook);
  store_and_wake(call.progress, over);
  call.occasion->threads.fetch_sub(1); // nothing of it is touched after this
}

/** The hook ends its thread (pthread_exit), or is cancelled. */
void end_early(void *argument) {
  auto &call = *static_cast<HookCall *>(argument);
  abandon_guarded_call();
  call.result.ending = Ending::ended_thread;
  end_call(call);
}

void *run_hook(void *argument) {
  auto &call = *static_cast<HookCall *>(argument);
  const int pid = getpid();
  allow_faults_and(signal_to_let_in());
  prctl(PR_SET_NAME, "hot_fix_hook");
  call.hook->tid.store(own_tid());
  pthread_cleanup_push(end_early, argument);
  call_functions(call);
  pthread_cleanup_pop(0);
  if (pid == getpid()) end_call(call);
  return nullptr;
}

bool start_thread(HookCall &call) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  call.occasion->threads.fetch_add(1);
  pthread_t thread;
  const int error_number = pthread_create(&thread, &attributes, run_hook, &call);
  pthread_attr_destroy(&attributes);
  call.has_thread = error_number == 0;
  if (call.has_thread) return true;
  call.occasion->threads.fetch_sub(1);
  leave(*call.hook);
  return false;
}

void release(Occasion *occasion) {
  occasion->~Occasion();
  unmap_pages(occasion, sizeof *occasion);
}

/** Lets go of the occasions that no thread is in any more. */
void release_left_over() {
  for (Occasion **link = &left_over; *link != nullptr;) {
    Occasion *occasion = *link;
    if (occasion->threads.load() != 0) {
      link = &occasion->next;
      continue;
    }
    *link = occasion->next;
    release(occasion);
  }
}

bool add_text(List<char> &texts, const char *text) { return texts.append(text, std::strlen(text) + 1); }

/** Copies the paths, which belong to the request. */
bool describe_files(Occasion &occasion, const List<const char *> &paths) {
  for (const char *path : paths) {
    if (!add_text(occasion.texts, path)) return false;
  }
  const char *text = occasion.texts.begin();
  for (std::size_t i = 0; i < paths.size(); i++, text += std::strlen(text) + 1) {
    if (!occasion.files.add(text)) return false;
  }
  return true;
}

bool describe_functions(Occasion &occasion, const List<Change> &changes) {
  for (const Change &change : changes) {
    const Function &function = *change.function;
    const Version &from = *function.current, &to = *change.to;
    if (&from == &to) continue;
    const hot_fix_function told{sizeof told,
                                function.symbol,
                                function.module,
                                reinterpret_cast<void *>(function.entry),
                                from.number,
                                to.number,
                                reinterpret_cast<const void *>(from.address),
                                reinterpret_cast<const void *>(to.address)};
    if (!occasion.functions.add(told)) return false;
  }
  for (const hot_fix_function &told : occasion.functions) {
    if (!occasion.function_pointers.add(&told)) return false;
  }
  return true;
}

hot_fix_patch patch_of(const Occasion &occasion) {
  return {sizeof(hot_fix_patch),
          occasion.files.size(),
          occasion.files.begin(),
          occasion.function_pointers.size(),
          occasion.function_pointers.begin(),
          nullptr,
          nullptr};
}

/** Fills in what there is to tell, and whom. False when memory is short. */
bool prepare(Occasion &occasion, const List<Change> &changes, const List<const char *> &sources) {
  if (!list_hooks(occasion.hooks)) return false;
  if (occasion.hooks.empty()) return true;
  if (!describe_files(occasion, sources) || !describe_functions(occasion, changes)) return false;
  occasion.before = occasion.after = patch_of(occasion);
  for (std::size_t i = 0; i < occasion.hooks.size(); i++) {
    occasion.calls[i].hook = occasion.hooks[i];
    occasion.calls[i].number = occasion.hooks[i]->number.load();
    occasion.calls[i].occasion = &occasion;
  }
  return true;
}

void warn(List<Failure> &warnings, const Hook &hook, Told when, const char *what) {
  char name[256];
  name_function(hook, when, name);
  Failure warning;
  fail(warning, Code::hook_failed, 0, nullptr, "the hook %s %s", name, what);
  warnings.add(warning);
}

} // namespace

HookCalls::HookCalls(const List<Change> &changes, const List<const char *> &sources, List<Failure> &warnings)
    : warnings_(warnings) {
  release_left_over();
  const bool any = std::any_of(changes.begin(), changes.end(),
                               [](const Change &change) { return change.function->current != change.to; });
  if (!any || !has_hooks()) return;
  void *memory = map_pages(sizeof(Occasion));
  if (memory != nullptr) {
    occasion_ = new (memory) Occasion();
    if (prepare(*occasion_, changes, sources)) return;
    release(occasion_);
    occasion_ = nullptr;
  }
  Failure warning;
  fail(warning, Code::hook_failed, 0, nullptr, "there was no memory to call the hooks");
  warnings_.add(warning);
}

HookCalls::~HookCalls() {
  if (occasion_ == nullptr) return;
  occasion_->next = left_over;
  left_over = occasion_;
  release_left_over();
}

/** Starts the thread, unless there is nothing to call. */
bool HookCalls::start(HookCall &call, Told when) {
  Hook &hook = *call.hook;
  if (!moves_on(hook, Hook::idle, Hook::running)) {
    const std::uint32_t state = hook.state.load();
    call.is_left_out = true;
    if (state == Hook::running || state == Hook::waiting) {
      warn(warnings_, hook, when, "was left out: it has not returned from an earlier patch yet");
    }
    return false;
  }
  if (hook.number.load() != call.number) {
    call.is_left_out = true;
    leave(hook);
    return false;
  }
  if ((when == Told::before ? hook.functions.before_patch : hook.functions.after_patch) == nullptr) {
    leave(hook);
    return false;
  }
  call.turn.store(when == Told::after);
  if (start_thread(call)) return true;
  call.is_left_out = true;
  warn(warnings_, hook, when, "was left out: no thread could be started for it");
  return false;
}

/** Until the function has returned, or has had its time. */
void HookCalls::wait_for(HookCall &call, Told when) {
  const std::uint64_t begin = monotonic_microseconds(), own = call.hook->functions.time_limit * std::uint64_t{1000};
  const std::uint64_t limit = std::max(std::min(own, time_left_), least);
  const std::uint32_t wanted = when == Told::before ? told_before : over;
  for (std::uint32_t now = call.progress.load(); now < wanted; now = call.progress.load()) {
    if (!wait_while(call.progress, now, begin + limit)) break;
  }
  time_left_ -= std::min(time_left_, monotonic_microseconds() - begin);
  char what[320];
  if (call.progress.load() < wanted) {
    call.is_left_alone = true;
    stop_guarding(call.hook->tid.load());
    std::snprintf(what, sizeof what, "did not return in %u ms, and is left alone", static_cast<unsigned>(limit / 1000));
  } else if (call.result.ending == Ending::ended_thread) {
    std::snprintf(what, sizeof what, "ended its thread");
  } else if (call.result.ending == Ending::crashed) {
    std::snprintf(what, sizeof what, "ended with %s", fatal_signal_name(call.result.signal));
  } else if (call.result.ending == Ending::threw) {
    std::snprintf(what, sizeof what, "threw %s", call.result.what[0] != '\0' ? call.result.what : "an exception");
  } else {
    return;
  }
  warn(warnings_, *call.hook, when, what);
}

void HookCalls::before() {
  if (occasion_ == nullptr) return;
  time_left_ = all_together;
  for (std::size_t i = 0; i < occasion_->hooks.size(); i++) {
    HookCall &call = occasion_->calls[i];
    if (start(call, Told::before)) wait_for(call, Told::before);
  }
}

void HookCalls::after(const Failure *failure) {
  if (occasion_ == nullptr) return;
  if (failure != nullptr) {
    std::snprintf(occasion_->error, sizeof occasion_->error, "%s", code_text(failure->code));
    std::snprintf(occasion_->message, sizeof occasion_->message, "%s", failure->message);
    occasion_->after.error = occasion_->error;
    occasion_->after.message = occasion_->message;
  }
  time_left_ = all_together;
  for (std::size_t i = occasion_->hooks.size(); i-- > 0;) {
    HookCall &call = occasion_->calls[i];
    if (call.is_left_out || call.progress.load() == over) continue;
    if (call.has_thread) {
      store_and_wake(call.turn, 1);
    } else if (failure != nullptr || !start(call, Told::after)) {
      continue;
    }
    if (!call.is_left_alone) wait_for(call, Told::after);
  }
}

} // namespace hot_fix
