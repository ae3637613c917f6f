// x86-64.
#include "arch_x86_64.h"

#include <cerrno>
#include <cpuid.h>
#include <csignal>
#include <cstring>
#include <sys/syscall.h>
#include <ucontext.h>

namespace hot_fix::arch {
namespace {

// include/linux/errno.h: results that never leave the kernel.
constexpr long restart_always = 512, restart_no_interrupt = 513, restart_no_handler = 514, restart_block = 516;

// arch/x86/include/uapi/asm/sigcontext.h and ucontext.h.
constexpr std::uint32_t magic_begin = 0x46505853, magic_end = 0x46505845;
constexpr unsigned long context_flags = 1 | 2 | 4; // UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
constexpr std::size_t software_bytes = 464;        // in the legacy area of XSAVE
constexpr std::size_t legacy_bytes = 512;
constexpr unsigned tile_data = 18; // an extended feature that the kernel gives on request only

struct SoftwareBytes { // struct _fpx_sw_bytes
  std::uint32_t magic, extended_size;
  std::uint64_t features;
  std::uint32_t xstate_size, padding[7];
};

struct KernelContext { // struct ucontext, with the kernel's short signal mask
  unsigned long flags;
  void *link;
  stack_t stack;
  sigcontext machine;
  std::uint64_t mask;
};
static_assert(sizeof(KernelContext) == 304);
static_assert(frame_program_counter == 8 + offsetof(KernelContext, machine) + offsetof(sigcontext, rip));

struct ExtendedLayout {
  std::uint64_t features;
  std::size_t size;
};

/** The part of the XSAVE area that a signal frame of the thread has (Intel SDM 1, 13.4.3: sizes by CPUID leaf 13). */
ExtendedLayout extended_layout(const ThreadContext &context) {
  std::uint64_t enabled = 0, used = 0;
  std::memcpy(&enabled, context.extended + software_bytes, sizeof enabled); // the kernel puts XCR0 there for ptrace
  std::memcpy(&used, context.extended + legacy_bytes, sizeof used);         // XSTATE_BV
  if ((used >> tile_data & 1) == 0) enabled &= ~(std::uint64_t{1} << tile_data);
  std::size_t size = legacy_bytes + 64;
  for (unsigned feature = 2; feature < 63; feature++) {
    if ((enabled >> feature & 1) == 0) continue;
    unsigned length = 0, offset = 0, c = 0, d = 0;
    if (__get_cpuid_count(13, feature, &length, &offset, &c, &d) == 0) continue;
    if (offset + length > size) size = offset + length;
  }
  return {enabled, size};
}

constexpr std::size_t extended_offset = 320; // of the XSAVE area in a frame: the next multiple of 64
static_assert(extended_offset >= 8 + sizeof(KernelContext));

bool has_extended(const ThreadContext &context) { return context.extended_length > legacy_bytes + 64; }

long find(const unsigned char *code, std::size_t length, const unsigned char *bytes, std::size_t count) {
  const void *at = memmem(code, length, bytes, count);
  return at != nullptr ? static_cast<const unsigned char *>(at) - code : -1;
}

} // namespace

Interrupted interrupted_call(const Registers &registers) {
  if (static_cast<long>(registers.orig_rax) < 0) return Interrupted::no;
  switch (-static_cast<long>(registers.rax)) {
  case restart_always:
  case restart_no_interrupt:
  case restart_no_handler:
  case restart_block:
    return Interrupted::restarted;
  case EINTR:
    return Interrupted::lost;
  default:
    return Interrupted::no;
  }
}

long call_number(const Registers &registers, const unsigned char (&instruction)[7]) {
  const auto number = static_cast<long>(registers.orig_rax);
  if (number != SYS_restart_syscall) return number;
  // b8 NN NN NN NN  mov $NN,%eax
  // 0f 05           syscall
  if (instruction[0] != 0xb8 || instruction[5] != 0x0f || instruction[6] != 0x05) return -1;
  std::int32_t immediate = 0;
  std::memcpy(&immediate, instruction + 1, sizeof immediate);
  return immediate;
}

std::uint64_t call_argument(const Registers &registers, unsigned index) {
  const unsigned long long arguments[] = {registers.rdi, registers.rsi, registers.rdx,
                                          registers.r10, registers.r8,  registers.r9};
  return arguments[index];
}

Registers made_again(const Registers &registers) {
  Registers again = registers;
  again.rip -= 2; // 0f 05  syscall
  again.rax = registers.orig_rax;
  again.orig_rax = ~0ULL; // not in a call: the kernel restarts nothing
  return again;
}

Registers calling(const Registers &from, std::uint64_t gadget, std::uint64_t frame, long number,
                  const std::uint64_t (&arguments)[6]) {
  Registers call = from;
  call.rip = gadget;
  call.rsp = frame;
  call.rax = static_cast<unsigned long long>(number);
  call.orig_rax = ~0ULL;
  call.rdi = arguments[0];
  call.rsi = arguments[1];
  call.rdx = arguments[2];
  call.r10 = arguments[3];
  call.r8 = arguments[4];
  call.r9 = arguments[5];
  return call;
}

std::int64_t call_result(const Registers &registers) { return static_cast<std::int64_t>(registers.rax); }

Registers entering_stub(const Registers &from, std::uint64_t stub, std::uint64_t stack_top, std::uint64_t block) {
  Registers entering = from;
  entering.rip = stub;
  entering.rsp = stack_top;
  entering.rbp = 0;
  entering.rbx = block;
  entering.orig_rax = ~0ULL;
  entering.eflags &= ~0x500ULL; // direction and trap flag
  return entering;
}

std::size_t frame_length(const ThreadContext &context) {
  if (!has_extended(context)) return extended_offset;
  return extended_offset + extended_layout(context).size + sizeof magic_end;
}

std::size_t build_frame(const ThreadContext &context, std::uint64_t at, std::uint64_t restorer, unsigned char *frame) {
  const Registers &from =
      interrupted_call(context.registers) == Interrupted::no ? context.registers : made_again(context.registers);
  KernelContext to{};
  to.flags = context_flags;
  to.stack.ss_flags = 0x7fffffff; // refused by the kernel in silence: the alternate stack stays as it is
  sigcontext &machine = to.machine;
  machine.r8 = from.r8;
  machine.r9 = from.r9;
  machine.r10 = from.r10;
  machine.r11 = from.r11;
  machine.r12 = from.r12;
  machine.r13 = from.r13;
  machine.r14 = from.r14;
  machine.r15 = from.r15;
  machine.rdi = from.rdi;
  machine.rsi = from.rsi;
  machine.rbp = from.rbp;
  machine.rbx = from.rbx;
  machine.rdx = from.rdx;
  machine.rax = from.rax;
  machine.rcx = from.rcx;
  machine.rsp = from.rsp;
  machine.rip = from.rip;
  machine.eflags = from.eflags;
  machine.cs = static_cast<std::uint16_t>(from.cs);
  machine.__pad0 = static_cast<std::uint16_t>(from.ss); // the kernel's `ss`
  to.mask = context.signal_mask;

  std::memset(frame, 0, extended_offset);
  std::memcpy(frame, &restorer, sizeof restorer);
  std::size_t length = extended_offset;
  if (has_extended(context)) {
    const ExtendedLayout layout = extended_layout(context);
    SoftwareBytes software{};
    software.magic = magic_begin;
    software.extended_size = static_cast<std::uint32_t>(layout.size + sizeof magic_end);
    software.features = layout.features;
    software.xstate_size = static_cast<std::uint32_t>(layout.size);
    std::memcpy(frame + extended_offset, context.extended, layout.size);
    std::memcpy(frame + extended_offset + software_bytes, &software, sizeof software);
    std::memcpy(frame + extended_offset + layout.size, &magic_end, sizeof magic_end);
    machine.fpstate = reinterpret_cast<_fpstate *>(at + extended_offset);
    length += layout.size + sizeof magic_end;
  }
  std::memcpy(frame + frame_entry, &to, sizeof to);
  return length;
}

long find_call_gadget(const unsigned char *code, std::size_t length) {
  // 0f 05  syscall
  // c3     ret
  static constexpr unsigned char bytes[] = {0x0f, 0x05, 0xc3};
  return find(code, length, bytes, sizeof bytes);
}

long find_restorer(const unsigned char *code, std::size_t length) {
  // 48 c7 c0 0f 00 00 00  mov $15,%rax  (rt_sigreturn)
  // 0f 05                 syscall
  static constexpr unsigned char bytes[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
  return find(code, length, bytes, sizeof bytes);
}

} // namespace hot_fix::arch
