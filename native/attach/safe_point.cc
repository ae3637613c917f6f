// The rules, each with its reason. A *finished* munmap inside malloc looks like a blocked call from outside; only the
// kernel's own "will be restarted" tells the two apart.
#include "safe_point.h"

#include "proc_files.h"
#include "ptrace_calls.h"
#include "remote_memory.h"

#include <cstdio>
#include <sys/syscall.h>

namespace hot_fix {
namespace {

constexpr std::size_t most_stack = 256 * 1024; // that is searched for signal frames
constexpr std::size_t room_below = 8 * 1024;   // for a frame below the red zone, and some more

constexpr SafePoint unfit(const char *reason) { return {Activity::unfit, reason}; }

/** The only thread of its process, and not the child of a vfork: its parent would stand still (proc(5), state D). */
bool is_alone(int pid, int tid) {
  char directory[32];
  std::snprintf(directory, sizeof directory, "/proc/%d/task", pid);
  List<int> threads;
  StatFile own{}, parent{};
  return tid == pid && list_numbers(directory, threads) && threads.size() == 1 && read_stat(pid, 0, own) &&
         (!read_stat(own.parent, 0, parent) || parent.state != 'D');
}

/** glibc's thread structure is this thread's own: not a raw clone's, not a child's that shares the memory. */
bool is_thread_of_libc(int pid, int tid, const arch::Registers &registers, const Surroundings &surroundings) {
  StatusFile status;
  std::uint64_t self = 0;
  std::int32_t id = 0;
  const std::uint64_t pointer = arch::thread_pointer(registers);
  return status.read(pid, tid) && read_remote(pid, pointer + arch::thread_self_offset, self) && self == pointer &&
         read_remote(pid, pointer + arch::thread_id_offset, id) &&
         (id == status.last_number("NSpid") || (id == 0 && surroundings.without_threads && is_alone(pid, tid)));
}

bool is_unsafe_code(std::uint64_t address, const Surroundings &surroundings) {
  const Module *module = surroundings.modules.at(address);
  // No module: code made at run time, or the vdso where the loader does not list it.
  return module == nullptr ? false : module->unsafe;
}

Activity activity_of(const arch::Registers &registers, const unsigned char (&instruction)[7]) {
  const long number = arch::call_number(registers, instruction);
  unsigned long long arguments[6];
  for (unsigned i = 0; i < 6; i++) arguments[i] = arch::call_argument(registers, i);
  return activity_of_call(number, arguments);
}

/** A wait that libc makes for the program, not for itself. */
bool is_wait(std::uint64_t program_counter, int pid, const arch::Registers &registers, Activity &activity) {
  unsigned char instruction[7];
  if (!read_remote(pid, program_counter - sizeof instruction, instruction)) return false;
  if (instruction[5] != 0x0f || instruction[6] != 0x05) return false;
  activity = activity_of(registers, instruction);
  return activity != Activity::unfit;
}

/** The loader waits for files, never for events: a thread in it holds its locks. */
bool is_loader(std::uint64_t address, const Surroundings &surroundings) {
  const Module *module = surroundings.modules.at(address);
  return module != nullptr && is_named(module->name, "ld-");
}

/** Is what a signal handler interrupted a safe point as well? It will go on where it was with what it holds. */
bool interrupts_unsafe_code(int pid, const Buffer &stack, std::size_t at, const Surroundings &surroundings) {
  if (at + arch::frame_program_counter + 8 > stack.size()) return true;
  std::uint64_t interrupted = 0;
  std::memcpy(&interrupted, stack.begin() + at + arch::frame_program_counter, sizeof interrupted);
  if (!is_unsafe_code(interrupted, surroundings)) return false;
  // Behind a system call it was waiting, as it would be if it were borrowed itself.
  unsigned char before[2];
  return is_loader(interrupted, surroundings) || !read_remote(pid, interrupted - sizeof before, before) ||
         before[0] != 0x0f || before[1] != 0x05;
}

const char *unsafe_stack(int pid, const arch::Registers &registers, const Surroundings &surroundings, bool allocates) {
  const std::uint64_t stack_pointer = arch::stack_pointer(registers);
  static Buffer stack; // kept: while it is made, a thread of the process stands still
  stack.clear();
  if (!stack.reserve(most_stack)) return "there is no memory to look at its stack";
  // Up to the end of the mapping, page by page: what is behind may not be there.
  while (stack.size() < most_stack) {
    const std::uint64_t from = stack_pointer + stack.size();
    const std::size_t wanted = arch::page_bytes - from % arch::page_bytes;
    if (stack.size() + wanted > most_stack || !read_remote(pid, from, stack.end(), wanted)) break;
    stack.shrink(stack.size() + wanted);
  }
  const Module *allocator = allocates ? surroundings.modules.at(surroundings.allocator) : nullptr;
  for (std::size_t at = 0; at + 8 <= stack.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, stack.begin() + at, sizeof word);
    if (word == surroundings.restorer && interrupts_unsafe_code(pid, stack, at, surroundings)) {
      return "it is in a signal handler that interrupted the C library";
    }
    if (allocator != nullptr && word >= allocator->text_start && word < allocator->text_end) {
      return "it may be inside the allocator";
    }
  }
  return nullptr;
}

} // namespace

bool is_lost_wait(const arch::Registers &registers) {
  static constexpr unsigned char unknown[7] = {}; // what restart_syscall restarts never ends so
  return arch::interrupted_call(registers) == arch::Interrupted::lost &&
         activity_of(registers, unknown) != Activity::unfit;
}

bool has_pending_signal(int pid, int tid) {
  StatusFile status;
  if (!status.read(pid, tid)) return true;
  return ((status.mask("SigPnd") | status.mask("ShdPnd")) & ~status.mask("SigBlk") & ~status.mask("SigIgn")) != 0;
}

SafePoint examine(int pid, int tid, const arch::Registers &registers, const Surroundings &surroundings) {
  const std::uint64_t program_counter = arch::program_counter(registers);
  if (!is_thread_of_libc(pid, tid, registers, surroundings)) return unfit("it is not a thread of the C library");
  Activity activity = Activity::running;
  bool allocates = false;
  switch (arch::interrupted_call(registers)) {
  case arch::Interrupted::no:
    if (is_unsafe_code(program_counter,
        surroundings)) return unfit("it runs in the C library, the loader or the allocator");
    if (is_in_restartable_sequence(tid, pid, program_counter)) return unfit("it is in a restartable sequence");
    // Its own allocator may have called it back, or be part of the executable.
    allocates = surroundings.allocator != 0;
    break;
  case arch::Interrupted::lost:
    if (has_pending_signal(pid, tid)) return unfit("a signal is on its way to it");
    [[fallthrough]];
  case arch::Interrupted::restarted:
    if (is_loader(program_counter, surroundings) || !is_wait(program_counter, pid, registers, activity)) {
      return unfit("it waits for something that others may need");
    }
    // Allocators sleep for their locks, and write when they are asked for figures.
    allocates = surroundings.allocator != 0 && (activity == Activity::sleep || activity == Activity::other_wait);
    break;
  }
  char below[8];
  const std::uint64_t lowest = arch::stack_pointer(registers) - arch::red_zone - room_below;
  if (!read_remote(pid, lowest, below)) return unfit("its stack is nearly used up");
  const char *reason = unsafe_stack(pid, registers, surroundings, allocates);
  return reason != nullptr ? unfit(reason) : SafePoint{activity, nullptr};
}

} // namespace hot_fix
