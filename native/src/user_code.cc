// What a thread waits for and what it will return into, from /proc and its stack.
#include "user_code.h"

#include "hooks.h"
#include "kernel_signals.h"
#include "migration.h"
#include "threads.h"

#include <algorithm>
#include <cstring>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {

bool is_part_of_libc(const MemoryMap &map, std::uintptr_t address) {
  const Mapping *mapping = map.find(address), *program = map.find(getauxval(AT_ENTRY));
  if (mapping == nullptr || program == nullptr || mapping->path[0] == '\0') return false;
  // An address in each of the modules that make up libc. In the program itself it says nothing: it was linked
  // statically, or the address is that of a jump to libc.
  const std::uintptr_t anchors[] = {reinterpret_cast<std::uintptr_t>(&syscall),
                                    reinterpret_cast<std::uintptr_t>(&pthread_create), getauxval(AT_BASE)};
  return std::any_of(anchors, anchors + 3, [&](std::uintptr_t anchor) {
    const Mapping *part = anchor != 0 ? map.find(anchor) : nullptr;
    return part != nullptr && std::strcmp(part->path, mapping->path) == 0 &&
           std::strcmp(part->path, program->path) != 0;
  });
}

namespace {

constexpr std::size_t most_stack = 1 << 20; // of a helper; those of the program may have more, and are not asked for

/** Whether no handler of the program can run on the thread as long as its mask is what it is. glibc's own two signals
 * (32 and 33) have handlers that run none of its code. */
bool takes_no_signal(int tid) {
  SignalBits blocked = 0, caught = 0;
  if (!signal_bits(tid, "SigBlk:", blocked) || !signal_bits(tid, "SigCgt:", caught)) return false;
  return (caught & ~blocked & ~(signal_bit(32) | signal_bit(33))) == 0;
}

bool holds_only_libc(const MemoryMap &map, const ThreadState &state) {
  const Mapping *stack = map.find(state.stack_pointer);
  if (stack == nullptr || !is_part_of_libc(map, state.program_counter)) return false;
  List<std::uintptr_t> words;
  const std::size_t length = std::min<std::size_t>(stack->end - state.stack_pointer, most_stack);
  if (!words.reserve(length / sizeof(std::uintptr_t))) return false;
  const std::size_t count = read_memory(state.stack_pointer, words.begin(), length) / sizeof(std::uintptr_t);
  return count != 0 && std::none_of(words.begin(), words.begin() + count, [&](std::uintptr_t word) {
    const Mapping *mapping = map.find(word);
    return mapping != nullptr && (mapping->protection & PROT_EXEC) != 0 && !is_part_of_libc(map, word);
  });
}

} // namespace

bool is_part_of_libc(std::uintptr_t address) {
  MemoryMap map;
  return map.read() && is_part_of_libc(map, address);
}

bool may_run_user_code(int tid) {
  if (is_waiting_in_hook(tid) || is_migrating(tid)) return false;
  const ThreadState state = thread_state(tid);
  if (state.kind == ThreadState::gone) return false;
  if (state.kind != ThreadState::blocked || state.stack_pointer == 0 || !takes_no_signal(tid)) return true;
  MemoryMap map;
  if (!map.read()) return true;
  const bool is_idle = state.system_call == SYS_rt_sigsuspend || holds_only_libc(map, state);
  // It has not moved while it was looked at.
  const ThreadState after = thread_state(tid);
  return !is_idle || after.stack_pointer != state.stack_pointer || after.program_counter != state.program_counter;
}

} // namespace hot_fix
