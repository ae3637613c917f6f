// The part of the architecture seam that has to be assembly: a call whose frame can be left at any time, from a
// signal handler and from a personality routine (guarded_call.cc).
#include "arch_x86_64.h"

#include "poison.h"

// int hot_fix_guarded_call(void (*function)(void *), void *argument, std::uintptr_t *frame)
// Keeps the callee-saved registers (psABI for x86-64, 3.2.1) below its frame, so that whoever leaves needs the stack
// pointer alone. The personality makes it the handler of every exception.
__asm__(R"(
  .pushsection .text, "ax", @progbits
  .p2align 4
  .globl hot_fix_guarded_call
  .hidden hot_fix_guarded_call
  .type hot_fix_guarded_call, @function
hot_fix_guarded_call:
  .cfi_startproc
  .cfi_personality 0x1b, hot_fix_catch_all
  endbr64
  pushq %rbp
  .cfi_def_cfa_offset 16
  .cfi_offset %rbp, -16
  movq %rsp, %rbp
  .cfi_def_cfa_register %rbp
  pushq %rbx
  .cfi_offset %rbx, -24
  pushq %r12
  .cfi_offset %r12, -32
  pushq %r13
  .cfi_offset %r13, -40
  pushq %r14
  .cfi_offset %r14, -48
  pushq %r15
  .cfi_offset %r15, -56
  subq $8, %rsp
  movq %rsp, (%rdx)
  movq %rdi, %rax
  movq %rsi, %rdi
  callq *%rax
  xorl %eax, %eax
  .globl hot_fix_guarded_end
  .hidden hot_fix_guarded_end
hot_fix_guarded_end:
  leaq 48(%rsp), %rbp
  cld
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  .cfi_def_cfa %rsp, 8
  ret
  .cfi_endproc
  .size hot_fix_guarded_call, . - hot_fix_guarded_call

  .p2align 4
  .globl hot_fix_leave_call
  .hidden hot_fix_leave_call
  .type hot_fix_leave_call, @function
hot_fix_leave_call:
  endbr64
  movl %edi, %eax
  movq %rsi, %rsp
  jmp hot_fix_guarded_end
  .size hot_fix_leave_call, . - hot_fix_leave_call
  .popsection
)");
