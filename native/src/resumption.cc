// A thread that goes on elsewhere does so behind a call, or at the entry of a function, on its own stack above the frames
// that it leaves.
#include "resumption.h"

#include "code_ranges.h"
#include "process.h"

#include <sys/mman.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::uintptr_t beyond_stack = 64 << 20; // so far below its stack a thread may be that has overflowed it

bool is_code(const MemoryMap &map, std::uintptr_t address) {
  const Mapping *mapping = map.find(address);
  return mapping != nullptr && (mapping->protection & PROT_EXEC) != 0;
}

/** Why the registers are not those of a thread behind a call or at an entry; null: they are. */
const char *objection(const Request &request, const Crash &crash) {
  constexpr std::uint32_t needed = 1U << arch::stack_pointer_column | 1U << arch::return_address_column;
  if ((request.changed & needed) != needed) return "the stack pointer or the program counter is missing";
  if (arch::has_shadow_stack()) return "its return addresses are kept on a shadow stack as well";
  MemoryMap map;
  if (!map.read()) return "the memory map cannot be read";
  const std::uintptr_t counter = request.registers[arch::return_address_column];
  const std::uintptr_t pointer = request.registers[arch::stack_pointer_column];
  const std::uintptr_t crashed_at = arch::stack_pointer(crash.context);
  if (!is_code(map, counter)) return "it would go on where no code is";
  const Mapping *stack = map.find(pointer);
  const int both = PROT_READ | PROT_WRITE;
  if (stack == nullptr || (stack->protection & both) != both || pointer < crashed_at ||
      crashed_at + beyond_stack < stack->start) {
    return "its stack pointer would not be on its stack, above the frames that it leaves";
  }
  const std::uintptr_t slot = request.way == Way::call ? pointer : pointer - sizeof(std::uintptr_t);
  std::uintptr_t returns_to = 0;
  // To words only: gcc calls functions of a unit that need no more with a stack pointer that the psABI does not allow
  // (-fipa-stack-alignment).
  if (slot % sizeof(std::uintptr_t) != 0) return "its stack pointer would not be aligned";
  if (read_memory(slot, &returns_to, sizeof returns_to) != sizeof returns_to || !is_code(map, returns_to) ||
      !follows_call(returns_to)) {
    return "the return address is not on its stack any more";
  }
  return request.way == Way::call || returns_to == counter ? nullptr : "it would not go on behind the call that it leaves";
}

} // namespace

bool check_resumption(const Request &request, const Crash &crash, Resumption &resumption, Failure &failure) {
  const char *reason = request.way == Way::instruction ? nullptr : objection(request, crash);
  if (reason != nullptr) {
    return fail(failure, Code::way_not_offered, 0, nullptr, "Thread %d cannot go on this way: %s", crash.tid, reason);
  }
  resumption = {};
  if (request.way == Way::instruction) return true;
  resumption.changed = request.changed;
  std::memcpy(resumption.registers, request.registers, sizeof resumption.registers);
  resumption.changed_vectors = request.changed_vectors;
  std::memcpy(resumption.vectors, request.vectors, sizeof resumption.vectors);
  return true;
}

void apply(const Resumption &resumption, ucontext_t &context) {
  if (resumption.changed == 0) return;
  for (unsigned number = 0; number <= arch::last_unwind_register; number++) {
    if ((resumption.changed >> number & 1) != 0) arch::set_dwarf_register(&context, number, resumption.registers[number]);
  }
  arch::clear_direction(&context);
  for (unsigned number = 0; number < arch::argument_vectors; number++) {
    if ((resumption.changed_vectors >> number & 1) != 0) arch::set_vector(&context, number, resumption.vectors[number]);
  }
}

} // namespace hot_fix
