// Everything about attaching that depends on the processor: registers, interrupted system calls, the frame with which
// a thread puts itself back, the instructions that are looked for in libc. Computes; traces nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <elf.h>
#include <sys/user.h>

namespace hot_fix::arch {

constexpr unsigned elf_machine = EM_X86_64;
constexpr std::size_t page_bytes = 4096;
/** System V ABI, 3.2.2: bytes below the stack pointer that belong to the running function. */
constexpr std::size_t red_zone = 128;
constexpr std::size_t most_extended_bytes = 16384; // with AMX some 11,000
constexpr std::size_t most_frame_bytes = most_extended_bytes + 1024;

using Registers = user_regs_struct;

/** All of a thread that running other code on it changes. */
struct ThreadContext {
  Registers registers;
  alignas(64) unsigned char extended[most_extended_bytes]; // XSAVE area, as NT_X86_XSTATE has it
  std::size_t extended_length;
  std::uint64_t signal_mask;
};

inline std::uint64_t program_counter(const Registers &registers) { return registers.rip; }
inline std::uint64_t stack_pointer(const Registers &registers) { return registers.rsp; }
inline std::uint64_t thread_pointer(const Registers &registers) { return registers.fs_base; }

/** What the kernel will do with an interrupted system call. */
enum class Interrupted {
  no,        // the thread is not in a system call, or the call has finished
  restarted, // the kernel begins it again by itself, with the remaining time where there is one
  lost,      // it would return EINTR although no signal came
};
Interrupted interrupted_call(const Registers &registers);

/** Number and arguments of the system call that was interrupted. `instruction` holds the seven bytes before the
 * program counter: a call that was restarted has lost its number, which is in the instruction before. -1: unknown. */
long call_number(const Registers &registers, const unsigned char (&instruction)[7]);
std::uint64_t call_argument(const Registers &registers, unsigned index);

/** The registers with which the thread makes the call once more. */
Registers made_again(const Registers &registers);

/** A system call through `gadget`, whose return goes to `frame`. */
Registers calling(const Registers &from, std::uint64_t gadget, std::uint64_t frame, long number,
                  const std::uint64_t (&arguments)[6]);
std::int64_t call_result(const Registers &registers);

/** The stub's beginning, with the block's address where the stub expects it. */
Registers entering_stub(const Registers &from, std::uint64_t stub, std::uint64_t stack_top, std::uint64_t block);

/** Builds what rt_sigreturn(2) reads, with everything of `context`, for the address `at` (a multiple of 64). The
 * first word is the address of `restorer`, so that a `ret` with the stack pointer here has the same effect.
 * Returns its length, at most most_frame_bytes. */
std::size_t build_frame(const ThreadContext &context, std::uint64_t at, std::uint64_t restorer, unsigned char *frame);
std::size_t frame_length(const ThreadContext &context);
/** From the frame to the stack pointer with which rt_sigreturn is called. */
constexpr std::size_t frame_entry = 8;

/** The program counter that a signal frame will go back to; `frame` begins with the restorer's address. */
constexpr std::size_t frame_program_counter = 8 + 40 + 16 * 8;

/** Offset of the first `syscall; ret` and of the C library's signal restorer in its code; -1: none. */
long find_call_gadget(const unsigned char *code, std::size_t length);
long find_restorer(const unsigned char *code, std::size_t length);

/** Offsets in struct pthread that are the same in every glibc: its own address, and the kernel's number of it. */
constexpr std::size_t thread_self_offset = 16;
constexpr std::size_t thread_id_offset = 720;

} // namespace hot_fix::arch
