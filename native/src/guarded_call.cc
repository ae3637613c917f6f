// One call that cannot end the process. An exception is caught by a personality routine of its own (Itanium C++ ABI,
// exception handling, level I): the runtime has no C++ library. A fatal signal of this thread goes back to the call.
#include "guarded_call.h"

#include "arch_x86_64.h"
#include "kernel_signals.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include "poison.h"

extern "C" {

/** Calls function(argument) with a frame that can be returned from at any time. `frame` receives its place. */
int hot_fix_guarded_call(void (*function)(void *), void *argument, std::uintptr_t *frame);
/** Where such a frame is left; the result is in the return register. */
extern const char hot_fix_guarded_end[];
[[noreturn]] void hot_fix_leave_call(int result, std::uintptr_t frame);

__attribute__((used, visibility("hidden"))) _Unwind_Reason_Code
hot_fix_catch_all(int version, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception *exception,
                  _Unwind_Context *);
}

namespace hot_fix {
namespace {

constexpr int returned = 0, threw = 1, crashed = 2;
constexpr int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::size_t fatal_count = sizeof fatal_signals / sizeof *fatal_signals;

struct Call {
  std::atomic<int> tid; // 0: the place is free
  std::atomic<bool> is_guarded;
  std::uintptr_t frame;
  _Unwind_Exception *caught;
  int ended_by;
};
Call calls[64]; // more than there are threads of the runtime

// The handlers stand while there are guarded calls. Only threads take the lock, never a handler.
std::atomic<bool> lock;
int guarded_count;
KernelAction previous[fatal_count];

class Locked {
public:
  Locked() {
    while (lock.exchange(true)) arch::relax();
  }
  Locked(const Locked &) = delete;
  Locked &operator=(const Locked &) = delete;
  ~Locked() { lock.store(false); }
};

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

Call *call_of(int tid) {
  for (Call &call : calls) {
    if (call.tid.load() == tid) return &call;
  }
  return nullptr;
}

/** A place for the calling thread; null when all are taken. */
Call *claim_call() {
  for (Call &call : calls) {
    int nobody = 0;
    if (call.tid.compare_exchange_strong(nobody, own_tid())) return &call;
  }
  return nullptr;
}

void pass_on(std::size_t index, int signal, siginfo_t *info, void *context) {
  const KernelAction &action = previous[index];
  const bool is_fault = info->si_code > 0; // of an instruction, which fails again
  if (action.handler <= reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
    if (is_fault) {
      kernel_action(signal, &action, nullptr);
    } else if (action.handler == reinterpret_cast<std::uintptr_t>(SIG_DFL)) {
      leave_to_default(signal, info);
    }
    return;
  }
  if ((action.flags & SA_SIGINFO) != 0) {
    reinterpret_cast<void (*)(int, siginfo_t *, void *)>(action.handler)(signal, info, context);
  } else {
    reinterpret_cast<void (*)(int)>(action.handler)(signal);
  }
}

void handle_fatal(int signal, siginfo_t *info, void *context) {
  Call *call = call_of(own_tid());
  if (call != nullptr && call->is_guarded.load()) {
    if (was_sent_to_process(*info)) { // not by what is called
      leave_to_others(signal, info, context);
      return;
    }
    call->ended_by = signal;
    arch::leave_call(static_cast<ucontext_t *>(context), reinterpret_cast<std::uintptr_t>(hot_fix_guarded_end),
                     call->frame, crashed);
    return;
  }
  for (std::size_t i = 0; i < fatal_count; i++) {
    if (fatal_signals[i] == signal) pass_on(i, signal, info, context);
  }
}

void *in_program(const char *name) { return dlsym(RTLD_DEFAULT, name); }

struct Caught {
  _Unwind_Exception *exception;
  char (&what)[256];
};

/** Ends the exception as a handler of the program would, and tells its type. Runs the exception's destructor. */
void end_exception(void *argument) {
  auto &[caught, what] = *static_cast<Caught *>(argument);
  using Begin = void *(*)(void *);
  using End = void (*)();
  using Type = const void *(*)();
  using Demangle = char *(*)(const char *, char *, std::size_t *, int *);
  const auto begin = reinterpret_cast<Begin>(in_program("__cxa_begin_catch"));
  const auto end = reinterpret_cast<End>(in_program("__cxa_end_catch"));
  const auto type_of = reinterpret_cast<Type>(in_program("__cxa_current_exception_type"));
  if (begin == nullptr || end == nullptr) {
    if (caught->exception_cleanup != nullptr) {
      caught->exception_cleanup(_URC_FOREIGN_EXCEPTION_CAUGHT, caught);
    }
    return;
  }
  begin(caught);
  if (const void *type = type_of != nullptr ? type_of() : nullptr) {
    // std::type_info: its vtable, then its name (Itanium C++ ABI, 2.9.4).
    const char *name = nullptr;
    std::memcpy(&name, static_cast<const char *>(type) + sizeof(void *), sizeof name);
    const auto demangle = reinterpret_cast<Demangle>(in_program("__cxa_demangle"));
    char *text = demangle != nullptr ? demangle(name, nullptr, nullptr, nullptr) : nullptr;
    std::snprintf(what, sizeof what, "%s", text != nullptr ? text : name);
    std::free(text);
  }
  end();
}

void begin_guarding(Call &call) {
  const Locked locked;
  call.is_guarded.store(true);
  if (guarded_count++ != 0) return;
  for (std::size_t i = 0; i < fatal_count; i++) {
    KernelAction now{};
    kernel_action(fatal_signals[i], nullptr, &now);
    // The program may have put back what it found there while there was such a call: then what was before that stays.
    if (now.handler == reinterpret_cast<std::uintptr_t>(&handle_fatal)) continue;
    previous[i] = now;
    install_handler(fatal_signals[i], handle_fatal);
  }
}

void end_guarding(Call &call) {
  const Locked locked;
  if (!call.is_guarded.exchange(false) || --guarded_count != 0) return;
  for (std::size_t i = 0; i < fatal_count; i++) {
    KernelAction now{};
    kernel_action(fatal_signals[i], nullptr, &now);
    // The code may have installed a handler: that one stays.
    if (now.handler == reinterpret_cast<std::uintptr_t>(&handle_fatal)) {
      kernel_action(fatal_signals[i], &previous[i], nullptr);
    }
  }
}

} // namespace

void guarded_call(void (*function)(void *), void *argument, CallResult &result) {
  result = CallResult{};
  Call *call = claim_call();
  if (call == nullptr) { // there are fewer threads than places
    result.ending = Ending::crashed;
    return;
  }
  alignas(16) char signal_stack[64 * 1024]; // the program may overflow what is below
  stack_t alternate{}, before{};
  alternate.ss_sp = signal_stack;
  alternate.ss_size = sizeof signal_stack;
  const bool has_stack = sigaltstack(&alternate, &before) == 0;
  SignalBits unblocked = 0, mask = 0;
  for (const int signal : fatal_signals) unblocked |= signal_bit(signal);
  call->ended_by = 0;
  begin_guarding(*call);
  kernel_mask(SIG_UNBLOCK, &unblocked, &mask);
  const int ended = hot_fix_guarded_call(function, argument, &call->frame);
  result.signal = call->ended_by;
  result.ending = ended == returned ? Ending::returned : ended == threw ? Ending::threw : Ending::crashed;
  Caught caught{call->caught, result.what};
  if (ended == threw) hot_fix_guarded_call(end_exception, &caught, &call->frame);
  end_guarding(*call);
  kernel_mask(SIG_SETMASK, &mask, nullptr);
  if (has_stack) sigaltstack(&before, nullptr);
  call->tid.store(0);
}

void abandon_guarded_call() {
  Call *call = call_of(own_tid());
  if (call == nullptr) return;
  end_guarding(*call);
  call->tid.store(0);
}

void stop_guarding(int tid) {
  if (Call *call = call_of(tid)) end_guarding(*call);
}

const char *fatal_signal_name(int signal) {
  switch (signal) {
  case SIGSEGV:
    return "SIGSEGV";
  case SIGBUS:
    return "SIGBUS";
  case SIGFPE:
    return "SIGFPE";
  case SIGILL:
    return "SIGILL";
  default:
    return "SIGABRT";
  }
}

void follow_fork(int forked_by) {
  lock.store(false);
  for (Call &call : calls) {
    end_guarding(call);
    const int tid = call.tid.load();
    if (tid != 0) call.tid.store(tid == forked_by ? own_tid() : 0);
  }
}

} // namespace hot_fix

extern "C" _Unwind_Reason_Code hot_fix_catch_all(int version, _Unwind_Action actions, _Unwind_Exception_Class,
                                                 _Unwind_Exception *exception, _Unwind_Context *) {
  if (version != 1) return _URC_FATAL_PHASE1_ERROR;
  // A thread that is being cancelled, or ends itself, unwinds without a search: it is not stopped.
  if ((actions & _UA_FORCE_UNWIND) != 0) return _URC_CONTINUE_UNWIND;
  if ((actions & _UA_SEARCH_PHASE) != 0) return _URC_HANDLER_FOUND;
  // All frames below have been cleaned up. The way back needs nothing of the unwinder, of which a program may have
  // several.
  hot_fix::Call *call = hot_fix::call_of(hot_fix::own_tid());
  if (call == nullptr) return _URC_FATAL_PHASE2_ERROR;
  call->caught = exception;
  hot_fix_leave_call(hot_fix::threw, call->frame);
}
