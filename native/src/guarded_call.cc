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

std::uintptr_t frame;
_Unwind_Exception *caught;
std::atomic<int> calling_thread; // 0: no call is under way
std::atomic<int> ended_by;
KernelAction previous[fatal_count];
alignas(16) char signal_stack[64 * 1024]; // the program may have overflowed the worker's

void pass_on(std::size_t index, int signal, siginfo_t *info, void *context) {
  const KernelAction &action = previous[index];
  if (action.handler <= reinterpret_cast<std::uintptr_t>(SIG_IGN)) {
    // What caused it happens again, or abort() goes on, with the disposition that was there.
    kernel_action(signal, &action, nullptr);
    return;
  }
  if ((action.flags & SA_SIGINFO) != 0) {
    reinterpret_cast<void (*)(int, siginfo_t *, void *)>(action.handler)(signal, info, context);
  } else {
    reinterpret_cast<void (*)(int)>(action.handler)(signal);
  }
}

void handle_fatal(int signal, siginfo_t *info, void *context) {
  if (syscall(SYS_gettid) == calling_thread.load()) {
    ended_by.store(signal);
    arch::leave_call(static_cast<ucontext_t *>(context), reinterpret_cast<std::uintptr_t>(hot_fix_guarded_end), frame,
                     crashed);
    return;
  }
  for (std::size_t i = 0; i < fatal_count; i++) {
    if (fatal_signals[i] == signal) pass_on(i, signal, info, context);
  }
}

void *in_program(const char *name) { return dlsym(RTLD_DEFAULT, name); }

/** Ends the exception as a handler of the program would, and tells its type. */
void end_exception(char (&what)[256]) {
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

} // namespace

void guarded_call(void (*function)(void *), void *argument, CallResult &result) {
  result = CallResult{};
  stack_t alternate{}, before{};
  alternate.ss_sp = signal_stack;
  alternate.ss_size = sizeof signal_stack;
  const bool has_stack = sigaltstack(&alternate, &before) == 0;
  SignalBits unblocked = 0, mask = 0;
  for (std::size_t i = 0; i < fatal_count; i++) {
    unblocked |= signal_bit(fatal_signals[i]);
    kernel_action(fatal_signals[i], nullptr, &previous[i]);
    install_handler(fatal_signals[i], handle_fatal);
  }
  kernel_mask(SIG_UNBLOCK, &unblocked, &mask);
  ended_by.store(0);
  calling_thread.store(static_cast<int>(syscall(SYS_gettid)));
  const int ended = hot_fix_guarded_call(function, argument, &frame);
  calling_thread.store(0);
  kernel_mask(SIG_SETMASK, &mask, nullptr);
  for (std::size_t i = 0; i < fatal_count; i++) {
    KernelAction now{};
    kernel_action(fatal_signals[i], nullptr, &now);
    // The code may have installed a handler: that one stays.
    if (now.handler == reinterpret_cast<std::uintptr_t>(&handle_fatal)) {
      kernel_action(fatal_signals[i], &previous[i], nullptr);
    }
  }
  if (has_stack) sigaltstack(&before, nullptr);
  result.signal = ended_by.load();
  result.ending = ended == returned ? Ending::returned : ended == threw ? Ending::threw : Ending::crashed;
  if (ended == threw) end_exception(result.what);
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
  hot_fix::caught = exception;
  hot_fix_leave_call(hot_fix::threw, hot_fix::frame);
}
