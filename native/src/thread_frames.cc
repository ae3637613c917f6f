// Frame by frame, each with its proof.
#include "thread_frames.h"

#include "call_frames.h"
#include "code_ranges.h"
#include "user_code.h"

#include <sys/auxv.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t most_frames = 1024;

/** Whether nobody called the code: the program's entry (its stack is the kernel's), or libc's, which calls what a thread
 * was made for. The code that a coroutine would return to is libc's too, but it calls nothing. */
bool is_start(const MemoryMap &map, std::uintptr_t counter, const std::uintptr_t (&function)[2]) {
  const std::uintptr_t entry = getauxval(AT_ENTRY);
  if (entry >= function[0] && entry < function[1]) return true;
  std::uint8_t before[arch::longest_call];
  return is_part_of_libc(map, counter) && read_memory(counter - sizeof before, before, sizeof before) == sizeof before &&
         arch::ends_with_register_call(before);
}

} // namespace

bool find_frames(const MemoryMap &map, const ThreadState &state, List<std::uintptr_t> &counters) {
  counters.clear();
  if (state.kind != ThreadState::blocked || state.stack_pointer == 0 || state.system_call < 0) return false;
  const Mapping *stack = map.find(state.stack_pointer);
  if (stack == nullptr) return false;
  FrameState frame{};
  frame.program_counter = state.program_counter;
  frame.registers[arch::stack_pointer_column] = state.stack_pointer;
  frame.known = std::uint32_t{1} << arch::stack_pointer_column;
  while (counters.size() < most_frames) {
    if (!counters.add(frame.program_counter)) return false;
    const std::uintptr_t below = frame.registers[arch::stack_pointer_column], counter = frame.program_counter;
    std::uintptr_t function[2];
    const FrameStep step = step_frame(frame, counters.size() > 1, function);
    if (step == FrameStep::outermost) return is_start(map, counter, function);
    const std::uintptr_t above = frame.registers[arch::stack_pointer_column];
    if (step != FrameStep::caller || above <= below || above >= stack->end) return false;
    if (!follows_call(frame.program_counter)) return false;
  }
  return false;
}

} // namespace hot_fix
