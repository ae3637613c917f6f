// The architecture seam: instruction bytes, their encodings, and the registers of an interrupted thread. Everything
// else in the runtime is free of x86-64. Encodings: Intel SDM volume 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ucontext.h>

namespace hot_fix::arch {

inline constexpr char name[] = "x86_64";
inline constexpr std::uint16_t elf_machine = 62; // EM_X86_64
inline constexpr std::size_t page_size = 4096;

// An ordinary trampoline:  e9 rel32   jmp target
inline constexpr std::size_t jump_length = 5;
inline constexpr std::uint8_t jump_opcode = 0xe9;

// cc   int3
inline constexpr std::uint8_t breakpoint = 0xcc;

// eb fe   jmp .      (as a little-endian word, stored at once)
inline constexpr std::uint16_t jump_to_self = 0xfeeb;

// f3 0f 1e fa   endbr64
inline constexpr std::uint8_t landing_pad[] = {0xf3, 0x0f, 0x1e, 0xfa};

// An island, for targets beyond the reach of rel32; changes no register:
//   3e ff 25 01 00 00 00   notrack jmp *1(%rip)
//   cc                     int3
//   .quad target
inline constexpr std::uint8_t island_code[] = {0x3e, 0xff, 0x25, 0x01, 0x00, 0x00, 0x00, 0xcc};
inline constexpr std::size_t island_length = 16;

/** Whether a jump at `from` reaches `to`. */
inline bool in_reach(std::uintptr_t from, std::uintptr_t to) {
  const auto distance = static_cast<std::int64_t>(to - (from + jump_length));
  return distance == static_cast<std::int32_t>(distance);
}

/** Encodes `jmp to` for the address `from`; `to` must be in reach. */
inline void encode_jump(std::uintptr_t from, std::uintptr_t to, std::uint8_t (&bytes)[jump_length]) {
  const auto distance = static_cast<std::int32_t>(to - (from + jump_length));
  bytes[0] = jump_opcode;
  std::memcpy(bytes + 1, &distance, sizeof distance);
}

/** The two bytes that hold a thread can be stored at once: they lie in one aligned word. */
inline bool can_hold_threads(std::uintptr_t address) { return (address & 7) != 7; }

inline std::uintptr_t program_counter(const ucontext_t *context) {
  return static_cast<std::uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
}

inline void set_program_counter(ucontext_t *context, std::uintptr_t address) {
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(address);
}

/** Sends an interrupted thread to the end of the guarded call that it is in (guarded_call.cc). */
inline void leave_call(ucontext_t *context, std::uintptr_t end, std::uintptr_t frame, int result) {
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(end);
  context->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(frame);
  context->uc_mcontext.gregs[REG_RAX] = result;
}

/** The calling thread's TLS base (psABI for x86-64, section 3.4.6: %fs:0 holds its own address). */
inline std::uintptr_t thread_pointer() {
  std::uintptr_t base;
  __asm__("mov %%fs:0, %0" : "=r"(base));
  return base;
}

inline void relax() { __builtin_ia32_pause(); }

} // namespace hot_fix::arch
