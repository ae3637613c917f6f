// The table of hooks, which has no lock: a thread that forks, or is held by a debugger, may be in the middle of a call.
#include "hooks.h"

#include "futex.h"
#include "module.h"
#include "process.h"
#include "program_symbols.h"
#include "running_copy.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr unsigned default_limit = 1000, longest_limit = 3000; // milliseconds
Hook table[most_hooks]; // the first are the program's by name
std::atomic<int> last_number;

using ByName = void (*)(const hot_fix_patch *);

/** The program's hooks by name; they take no context. */
struct NamedHooks {
  ByName before, after;
} named;

void call_named_before(const hot_fix_patch *patch, void *) { named.before(patch); }
void call_named_after(const hot_fix_patch *patch, void *) { named.after(patch); }

int own_tid() { return static_cast<int>(syscall(SYS_gettid)); }

std::uintptr_t any_function(const hot_fix_hooks &functions) {
  const auto before = reinterpret_cast<std::uintptr_t>(functions.before_patch);
  return before != 0 ? before : reinterpret_cast<std::uintptr_t>(functions.after_patch);
}

/** What a program gave that was built with this header, an older or a newer one. */
bool read_hooks(const hot_fix_hooks *given, hot_fix_hooks &functions) {
  functions = hot_fix_hooks{};
  if (given == nullptr || given->size < sizeof given->size) return false;
  std::memcpy(&functions, given, std::min(given->size, sizeof functions));
  if (functions.time_limit == 0) functions.time_limit = default_limit;
  functions.time_limit = std::min(functions.time_limit, longest_limit);
  return any_function(functions) != 0;
}

void fill(Hook &hook, const hot_fix_hooks &functions) {
  Module module{};
  hook.functions = functions;
  // A function that a patch brought is in none; such patches stay in memory.
  hook.has_module = find_module_of(any_function(functions), module) && module.build_id_length <= sizeof hook.build_id;
  hook.bias = module.bias;
  hook.build_id_length = hook.has_module ? module.build_id_length : 0;
  if (hook.build_id_length != 0) std::memcpy(hook.build_id, module.build_id, hook.build_id_length);
  hook.number.store(last_number.fetch_add(1) + 1);
  hook.state.store(Hook::idle);
}

/** Whether the functions are where they were when they were added. */
bool is_loaded(const Hook &hook) {
  Module module;
  Failure failure;
  return !hook.has_module || (find_module(hook.bias, hook.build_id, hook.build_id_length, "", module, failure) &&
                              module.has_code(any_function(hook.functions), 1));
}

void find_named_hooks() {
  static bool is_searched;
  if (is_searched) return;
  is_searched = true;
  named.before = reinterpret_cast<ByName>(find_in_program("hot_fix_before_patch"));
  named.after = reinterpret_cast<ByName>(find_in_program("hot_fix_after_patch"));
  if (named.before == nullptr && named.after == nullptr) return;
  table[0].functions = {sizeof(hot_fix_hooks), named.before != nullptr ? call_named_before : nullptr,
                        named.after != nullptr ? call_named_after : nullptr, nullptr, default_limit};
  table[0].state.store(Hook::idle); // under the number 0, before all others
}

/** Of a thread that waits it is enough to say so. False: it is in a function. */
bool take_away(Hook &hook) {
  for (;;) {
    std::uint32_t state = hook.state.load();
    const std::uint32_t next = state == Hook::idle ? std::uint32_t{Hook::free} : std::uint32_t{Hook::removed};
    if (state != Hook::idle && state != Hook::running && state != Hook::waiting) return state != Hook::removed;
    if (hook.state.compare_exchange_weak(state, next)) return state != Hook::running;
  }
}

bool is_hook_thread(int tid) {
  return std::any_of(table, table + most_hooks, [tid](const Hook &hook) { return hook.tid.load() == tid; });
}

int add_hooks(const hot_fix_hooks &functions) {
  for (Hook &hook : table) {
    std::uint32_t none = Hook::free;
    if (&hook == table || !hook.state.compare_exchange_strong(none, Hook::filling)) continue;
    fill(hook, functions);
    return hook.number.load();
  }
  errno = ENOSPC;
  return -1;
}

int remove_hooks(int number) {
  for (Hook &hook : table) {
    const std::uint32_t state = hook.state.load();
    if (&hook == table || state == Hook::free || state == Hook::filling || hook.number.load() != number) continue;
    const bool is_own = hook.tid.load() == own_tid();
    if (take_away(hook) || is_own) return 0;
    if (!is_hook_thread(own_tid())) {
      wait_while(hook.state, Hook::removed, monotonic_microseconds() + hook.functions.time_limit * 1000ULL);
    }
    if (hook.state.load() != Hook::removed || hook.number.load() != number) return 0;
    errno = EBUSY;
    return -1;
  }
  errno = EINVAL;
  return -1;
}

} // namespace

bool list_hooks(List<Hook *> &hooks) {
  find_named_hooks();
  for (Hook &hook : table) {
    std::uint32_t state = hook.state.load();
    if (state != Hook::idle && state != Hook::running && state != Hook::waiting) continue;
    if (state == Hook::idle && !is_loaded(hook)) {
      hook.state.compare_exchange_strong(state, Hook::free);
    } else if (!hooks.add(&hook)) {
      return false;
    }
  }
  std::sort(hooks.begin(), hooks.end(), [](const Hook *a, const Hook *b) { return a->number.load() < b->number.load(); });
  return true;
}

bool has_hooks() {
  find_named_hooks();
  return std::any_of(table, table + most_hooks, [](const Hook &hook) { return hook.state.load() != Hook::free; });
}

void reset_hooks() {
  for (Hook &hook : table) {
    const std::uint32_t state = hook.state.load();
    hook.tid.store(0);
    if (state == Hook::running || state == Hook::waiting) hook.state.store(Hook::idle);
    if (state == Hook::removed || state == Hook::filling) hook.state.store(Hook::free);
  }
}

void name_function(const Hook &hook, Told when, char (&name)[256]) {
  const bool is_before = when == Told::before;
  if (hook.number.load() == 0) {
    std::snprintf(name, sizeof name, "%s", is_before ? "hot_fix_before_patch" : "hot_fix_after_patch");
    return;
  }
  const auto function = is_before ? hook.functions.before_patch : hook.functions.after_patch;
  const void *address = reinterpret_cast<const void *>(function);
  Dl_info info{};
  const bool is_found = dladdr(address, &info) != 0;
  if (is_found && info.dli_sname != nullptr && info.dli_saddr == address) {
    std::snprintf(name, sizeof name, "%s", info.dli_sname);
  } else if (is_found && info.dli_fname != nullptr) {
    const auto offset = reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
    std::snprintf(name, sizeof name, "%s+%#lx", info.dli_fname, static_cast<unsigned long>(offset));
  } else {
    std::snprintf(name, sizeof name, "%p", address);
  }
}

bool is_waiting_in_hook(int tid) {
  return std::any_of(table, table + most_hooks, [tid](const Hook &hook) {
    return hook.tid.load() == tid && hook.state.load() == Hook::waiting;
  });
}

} // namespace hot_fix

extern "C" {

__attribute__((visibility("default"))) int hot_fix_add_hooks(const struct hot_fix_hooks *hooks) {
  if (const auto other = hot_fix::in_running_copy(&hot_fix_add_hooks, "hot_fix_add_hooks")) return other(hooks);
  hot_fix_hooks functions;
  if (hot_fix::read_hooks(hooks, functions)) return hot_fix::add_hooks(functions);
  errno = EINVAL;
  return -1;
}

__attribute__((visibility("default"))) int hot_fix_remove_hooks(int number) {
  if (const auto other = hot_fix::in_running_copy(&hot_fix_remove_hooks, "hot_fix_remove_hooks")) return other(number);
  return hot_fix::remove_hooks(number);
}
}
