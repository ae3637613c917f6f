// The architecture seam: instruction bytes, their encodings, and the registers of an interrupted thread. Everything
// else in the runtime is free of x86-64. Encodings: Intel SDM volume 2.
#pragma once

#include <cstddef>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/** Of functions that read or write code by single accesses: the thread sanitizer, which the tests use, keeps no record of
 * code, and would fault where it looked for one. */
#define HOT_FIX_ACCESSES_CODE __attribute__((no_sanitize("thread")))

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

// An island changes no register, and leads where its slot says:
//   3e ff 25 xx xx xx xx   notrack jmp *slot(%rip)
inline constexpr std::uint8_t island_code[] = {0x3e, 0xff, 0x25};
inline constexpr std::size_t island_length = 7;

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

/** Where a jump at `from` leads that consists of jump_opcode and the four bytes `tail`. */
inline std::uintptr_t jump_target(std::uintptr_t from, const std::uint8_t *tail) {
  std::int32_t distance;
  std::memcpy(&distance, tail, sizeof distance);
  return from + jump_length + static_cast<std::uintptr_t>(static_cast<std::intptr_t>(distance));
}

/** Encodes an island at `from` whose slot is in reach. */
inline void encode_island(std::uintptr_t from, std::uintptr_t slot, std::uint8_t (&bytes)[island_length]) {
  const auto distance = static_cast<std::int32_t>(slot - (from + island_length));
  std::memcpy(bytes, island_code, sizeof island_code);
  std::memcpy(bytes + sizeof island_code, &distance, sizeof distance);
}

/** Whether the bytes can be stored, and fetched, at once: processors fetch code by aligned blocks of sixteen. */
inline bool is_single_store(std::uintptr_t address, std::size_t length) { return (address & 15) + length <= 16; }

/** Stores bytes of which is_single_store() holds, by a compare-and-exchange of their block: what others write beside
 * them at that moment, a debugger its breakpoints, is not lost. */
HOT_FIX_ACCESSES_CODE inline void store_at_once(std::uintptr_t address, const std::uint8_t *bytes, std::size_t length) {
  const std::uintptr_t offset = address & 15;
  if ((address & 7) + length <= 8) {
    auto *word = reinterpret_cast<std::uint64_t *>(address & ~std::uintptr_t{7});
    std::uint64_t before = __atomic_load_n(word, __ATOMIC_SEQ_CST), after;
    do {
      after = before;
      std::memcpy(reinterpret_cast<std::uint8_t *>(&after) + (address & 7), bytes, length);
    } while (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return;
  }
  auto *block = reinterpret_cast<std::uint64_t *>(address - offset);
  std::uint64_t before[2] = {block[0], block[1]}, after[2];
  bool done = false;
  do {
    std::memcpy(after, before, sizeof after);
    std::memcpy(reinterpret_cast<std::uint8_t *>(after) + offset, bytes, length);
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*reinterpret_cast<std::uint64_t(*)[2]>(block)), "+a"(before[0]),
                       "+d"(before[1])
                     : "b"(after[0]), "c"(after[1])
                     : "memory");
  } while (!done);
}

inline std::uintptr_t program_counter(const ucontext_t *context) {
  return static_cast<std::uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
}

inline void set_program_counter(ucontext_t *context, std::uintptr_t address) {
  context->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(address);
}

inline std::uintptr_t stack_pointer(const ucontext_t *context) {
  return static_cast<std::uintptr_t>(context->uc_mcontext.gregs[REG_RSP]);
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

/** Whether a thread's control block may begin at an address: its first and its third word are that address (tcbhead_t of
 * glibc; the first by the psABI, section 3.4.6). */
inline bool is_control_block(const std::uintptr_t *words, std::uintptr_t at) { return words[0] == at && words[2] == at; }

/** Whether the first of `count` words may be the program counter that a signal frame keeps: behind it stand the flags,
 * of which the second bit is always set, and the code segment of 64-bit programs (struct sigcontext, asm/sigcontext.h). */
inline bool is_interrupted_counter(const std::uintptr_t *words, std::size_t count) {
  if (count < 3) return true;
  return (words[1] & 2) != 0 && words[1] < 1 << 22 && (words[2] & 0xffff) == 0x33;
}

/** Whether the first of `count` words is the program counter in the signal frame of a breakpoint (int3): seventeen words
 * on, behind the rest of its struct ucontext, its siginfo says SIGTRAP and SI_KERNEL (struct rt_sigframe,
 * arch/x86/include/asm/sigframe.h). */
inline bool is_breakpoint_frame(const std::uintptr_t *words, std::size_t count) {
  constexpr std::size_t information = 17;
  constexpr std::uint32_t trap = 5, from_kernel = 0x80;
  return count > information + 1 && static_cast<std::uint32_t>(words[information]) == trap &&
         static_cast<std::uint32_t>(words[information + 1]) == from_kernel;
}

/** Whether a call among the first bytes of a function may return into them: one through a register or memory. */
inline bool may_hold_short_call(const std::uint8_t *code, std::size_t length) {
  return std::memchr(code, 0xff, length) != nullptr;
}

/** Whether code may hold a rt_sigprocmask (system call 14): that number as an immediate close before a `syscall`, or,
 * where the module calls libc's syscall(), moved to the register of the first argument (mov $14,%edi or %rdi). */
inline bool may_set_signal_mask(const std::uint8_t *code, std::size_t length, bool calls_syscall) {
  constexpr std::size_t close = 48;
  constexpr std::uint8_t number[] = {14, 0, 0, 0};
  for (std::size_t at = 2; at + sizeof number < length; at++) {
    if (std::memcmp(code + at, number, sizeof number) != 0) continue;
    const bool is_argument = code[at - 1] == 0xbf || (code[at - 2] == 0xc7 && code[at - 1] == 0xc7);
    if (is_argument && calls_syscall) return true;
    const std::size_t end = length - at < close ? length - 1 : at + close;
    for (std::size_t i = at; i < end; i++) {
      if (code[i] == 0x0f && code[i + 1] == 0x05) return true;
    }
  }
  return false;
}

/** Whether bytes may stand between functions: zeros, int3 and the first bytes of nops (90, 66 90, 0f 1f, 66 2e 0f 1f). */
inline bool is_padding(const std::uint8_t *bytes, std::size_t length) {
  if (length == 0) return true;
  switch (bytes[0]) {
  case 0x00:
  case 0x90:
  case 0xcc:
    return is_padding(bytes + 1, length - 1);
  case 0x0f:
    return length == 1 || bytes[1] == 0x1f;
  case 0x66:
    return is_padding(bytes + 1, length - 1) || bytes[1] == 0x2e;
  default:
    return false;
  }
}

/** What a dynamic relocation of a patch writes (psABI for x86-64, table 4.9: base B, addend A, symbol S). */
enum class Relocation {
  none,
  relative,      // B + A
  absolute,      // S + A
  slot,          // S
  module,        // number of the module of a thread-local variable
  module_offset, // its offset there
  thread_offset, // its offset from the thread pointer
  unknown,
};
inline Relocation relocation(unsigned type) {
  switch (type) {
  case R_X86_64_NONE:
    return Relocation::none;
  case R_X86_64_RELATIVE:
    return Relocation::relative;
  case R_X86_64_64:
    return Relocation::absolute;
  case R_X86_64_GLOB_DAT:
  case R_X86_64_JUMP_SLOT:
    return Relocation::slot;
  case R_X86_64_DTPMOD64:
    return Relocation::module;
  case R_X86_64_DTPOFF64:
    return Relocation::module_offset;
  case R_X86_64_TPOFF64:
    return Relocation::thread_offset;
  default:
    return Relocation::unknown;
  }
}

/** DWARF numbers of the registers that unwind records of compilers name: the sixteen general ones, and the return
 * address (psABI for x86-64, figure 3.36). */
inline constexpr unsigned return_address_column = 16, last_unwind_register = 16, stack_pointer_column = 7;

/** Those that a function gives back as they were: rbx, rbp, r12 to r15 (psABI for x86-64, figure 3.4). */
inline constexpr std::uint32_t callee_saved_columns = 1U << 3 | 1U << 6 | 0xfU << 12;

inline constexpr std::size_t longest_call = 7; // of those that compilers write, prefixes left out

/** Whether the bytes end with `call *%reg` (ff d0 to ff d7). */
inline bool ends_with_register_call(const std::uint8_t (&bytes)[longest_call]) {
  return bytes[longest_call - 2] == 0xff && (bytes[longest_call - 1] & 0xf8) == 0xd0;
}

/** Whether the bytes may end with a call, so that the address behind them is one to return to:
 *   e8 rel32                    call f
 *   ff /2                       call *%reg, *(%reg), *disp8(%reg), *disp32(%reg), *disp32(%rip), each with an index */
inline bool ends_with_call(const std::uint8_t (&bytes)[longest_call]) {
  if (bytes[longest_call - 5] == 0xe8) return true;
  for (std::size_t length = 2; length <= longest_call; length++) {
    const std::uint8_t *call = bytes + longest_call - length;
    if (call[0] != 0xff || (call[1] & 0x38) != 0x10) continue;
    const unsigned form = call[1] >> 6;
    const bool has_index = form != 3 && (call[1] & 7) == 4;
    const bool is_wide = form == 2 || (form == 0 && (call[1] & 7) == 5);
    if (length == 2 + std::size_t{has_index} + (is_wide ? 4 : form == 1 ? 1 : 0)) return true;
    if (length == 7 && has_index && form == 0 && (call[2] & 7) == 5) return true;
  }
  return false;
}

/** Where the context keeps the register of that number; for the last one, where the thread is. */
inline int place_in_context(unsigned number) {
  constexpr int in_context[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
                                REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  return in_context[number];
}

/** What an interrupted thread has in the register of that number. */
inline std::uint64_t dwarf_register(const ucontext_t *context, unsigned number) {
  return static_cast<std::uint64_t>(context->uc_mcontext.gregs[place_in_context(number)]);
}

/** Whether a signal has interrupted a system call that is not made again: the kernel says so in its result (signal(7)), and
 * the call's instruction stands before the counter. */
inline bool has_ended_call(const ucontext_t *context) {
  constexpr std::uint8_t call[] = {0x0f, 0x05}; // syscall
  const auto *counter = reinterpret_cast<const std::uint8_t *>(program_counter(context));
  return context->uc_mcontext.gregs[REG_RAX] == -EINTR && std::memcmp(counter - sizeof call, call, sizeof call) == 0;
}

/** Whether the thread makes a system call next: also one that a signal has interrupted, and that is made again. */
inline bool is_before_call(const ucontext_t *context) {
  constexpr std::uint8_t call[] = {0x0f, 0x05}; // syscall
  return std::memcmp(reinterpret_cast<const void *>(program_counter(context)), call, sizeof call) == 0;
}

/** The DWARF numbers of the registers in which a system call has its arguments (psABI, A.2.1). */
inline constexpr unsigned call_argument_columns[] = {5, 4, 1, 10, 8, 9};

inline void set_dwarf_register(ucontext_t *context, unsigned number, std::uint64_t value) {
  context->uc_mcontext.gregs[place_in_context(number)] = static_cast<greg_t>(value);
}

/** At calls and returns string instructions go upwards (psABI for x86-64, section 3.2.1: the direction flag). */
inline void clear_direction(ucontext_t *context) { context->uc_mcontext.gregs[REG_EFL] &= ~0x400; }

inline constexpr unsigned argument_vectors = 8; // xmm0 to xmm7

/** Whether the calling thread has a shadow stack, which keeps return addresses beside the stack (arch_prctl with
 * ARCH_SHSTK_STATUS, asm/prctl.h; kernels before 6.6 know none). libc gives one to all threads or to none. */
inline bool has_shadow_stack() {
  constexpr int status = 0x5005;
  std::uint64_t features = 0;
  return syscall(SYS_arch_prctl, status, &features) == 0 && (features & 1) != 0;
}

inline constexpr unsigned vector_count = 16;

/** The low eight bytes that an interrupted thread has in a vector register. */
inline std::uint64_t vector(const ucontext_t *context, unsigned number) {
  std::uint64_t low = 0;
  if (context->uc_mcontext.fpregs != nullptr) std::memcpy(&low, &context->uc_mcontext.fpregs->_xmm[number], sizeof low);
  return low;
}

/** Gives a vector register a double or a float, and zeros above it. Where the kernel wrote the extended state (FP_XSTATE_MAGIC1 in the
 * bytes for software, asm/sigcontext.h), its header must say that there is something in those registers. */
inline void set_vector(ucontext_t *context, unsigned number, std::uint64_t value) {
  constexpr std::size_t software_bytes = 464, header = 512;
  constexpr std::uint32_t magic = 0x46505853;
  constexpr std::uint64_t sse = 2;
  auto *state = reinterpret_cast<std::uint8_t *>(context->uc_mcontext.fpregs);
  if (state == nullptr) return;
  const std::uint64_t both[] = {value, 0};
  std::memcpy(&context->uc_mcontext.fpregs->_xmm[number], both, sizeof both);
  std::uint32_t found;
  std::memcpy(&found, state + software_bytes, sizeof found);
  if (found != magic) return;
  std::uint64_t present;
  std::memcpy(&present, state + header, sizeof present);
  present |= sse;
  std::memcpy(state + header, &present, sizeof present);
}

inline void relax() { __builtin_ia32_pause(); }

} // namespace hot_fix::arch
