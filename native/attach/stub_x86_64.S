// The code that is copied into the process. Two threads run it, with %rbx at the block (block.h): the borrowed one,
// which only calls pthread_create (and loads it before, where the C library is old and the program has no threads), and
// the new one, which loads the runtime. Position-independent; System V ABI.
#include "block_layout.h"

#include <sys/syscall.h>

#define SIG_SETMASK 2
#define PR_SET_NAME 15
#define SIGURG 23
#define DETACHED 1
#define ELIBACC 79
#define MFD_CLOEXEC 1

    .section .rodata
    .globl hot_fix_stub_begin, hot_fix_stub_thread, hot_fix_stub_mark, hot_fix_stub_end
    .hidden hot_fix_stub_begin, hot_fix_stub_thread, hot_fix_stub_mark, hot_fix_stub_end

// --- the borrowed thread: %rsp is the stub's own stack ---------------------------------------------------------
hot_fix_stub_begin:
    // The program may be about to read errno.
    call *BLOCK_ERRNO_LOCATION(%rbx)
    movq %rax, BLOCK_ERRNO_ADDRESS(%rbx)
    movl (%rax), %ecx
    movl %ecx, BLOCK_ERRNO_SAVED(%rbx)

    cmpb $0, BLOCK_THREADS_LIBRARY(%rbx)
    je create
    movl $ELIBACC, BLOCK_CREATED(%rbx)
    leaq BLOCK_THREADS_LIBRARY(%rbx), %rdi
    movq BLOCK_DLOPEN_FLAGS(%rbx), %rsi
    call *BLOCK_DLOPEN(%rbx)
    testq %rax, %rax
    je created
    movq %rax, %r12
    movq %r12, %rdi
    leaq BLOCK_CREATE_THREAD_NAME(%rbx), %rsi
    call *BLOCK_DLSYM(%rbx)
    movq %rax, BLOCK_CREATE_THREAD(%rbx)
    testq %rax, %rax
    je created
    movq %r12, %rdi
    leaq BLOCK_SET_STACK_SIZE_NAME(%rbx), %rsi
    call *BLOCK_DLSYM(%rbx)
    movq %rax, BLOCK_SET_STACK_SIZE(%rbx)
    testq %rax, %rax
    je created

create:
    leaq BLOCK_ATTRIBUTES(%rbx), %rdi
    call *BLOCK_ATTRIBUTE_INIT(%rbx)
    leaq BLOCK_ATTRIBUTES(%rbx), %rdi
    movl $DETACHED, %esi
    call *BLOCK_SET_DETACHED(%rbx)
    leaq BLOCK_ATTRIBUTES(%rbx), %rdi
    movq BLOCK_STACK_SIZE(%rbx), %rsi
    call *BLOCK_SET_STACK_SIZE(%rbx)
    leaq BLOCK_THREAD(%rbx), %rdi
    leaq BLOCK_ATTRIBUTES(%rbx), %rsi
    movq BLOCK_START(%rbx), %rdx
    movq %rbx, %rcx
    call *BLOCK_CREATE_THREAD(%rbx)
    movl %eax, BLOCK_CREATED(%rbx)

created:
    movq BLOCK_ERRNO_ADDRESS(%rbx), %rax
    movl BLOCK_ERRNO_SAVED(%rbx), %ecx
    movl %ecx, (%rax)

    // The end mark: a stop for the tracer, and nothing at all where there is none any more.
    movl $SYS_getpid, %eax
    syscall
    movl %eax, %r12d
    movl $SYS_gettid, %eax
    syscall
    movl %r12d, %edi
    movl %eax, %esi
    movl $SIGURG, %edx
    movl $SYS_tgkill, %eax
    syscall
hot_fix_stub_mark:
    // Only without a tracer: back to where the thread was.
    movq BLOCK_FRAME(%rbx), %rsp
    movl $SYS_rt_sigreturn, %eax
    syscall

// --- the new thread: void *(struct block *) ---------------------------------------------------------------------
hot_fix_stub_thread:
    pushq %rbx
    pushq %r12
    pushq %rbp // keeps %rsp at a multiple of 16
    movq %rdi, %rbx

    // A handler of the program would find little stack here.
    movl $SIG_SETMASK, %edi
    leaq BLOCK_MASK(%rbx), %rsi
    xorl %edx, %edx
    movl $8, %r10d
    movl $SYS_rt_sigprocmask, %eax
    syscall
    movl $PR_SET_NAME, %edi
    leaq BLOCK_NAME(%rbx), %rsi
    movl $SYS_prctl, %eax
    syscall
    movl $SYS_gettid, %eax
    syscall
    movl %eax, BLOCK_THREAD_ID(%rbx)

    // Who gave up sets one word and reads the other; xchg orders the two here.
    movl $STATE_LOADING, %eax
    xchgl %eax, BLOCK_STATE(%rbx)
    cmpl $0, BLOCK_WITHDRAWN(%rbx)
    jne withdrawn

    cmpl $0, BLOCK_USE_MEMORY_FILE(%rbx)
    je load
    leaq BLOCK_NAME(%rbx), %rdi
    movl $MFD_CLOEXEC, %esi
    movl $SYS_memfd_create, %eax
    syscall
    movl %eax, BLOCK_DESCRIPTOR(%rbx)
wait_for_content:
    cmpl $0, BLOCK_WITHDRAWN(%rbx)
    jne withdrawn
    cmpl $0, BLOCK_FILLED(%rbx)
    jne load
    leaq BLOCK_PAUSE(%rbx), %rdi
    xorl %esi, %esi
    movl $SYS_nanosleep, %eax
    syscall
    jmp wait_for_content

load:
    leaq BLOCK_LIBRARY(%rbx), %rdi
    movq BLOCK_DLOPEN_FLAGS(%rbx), %rsi
    call *BLOCK_DLOPEN(%rbx)
    testq %rax, %rax
    je failed
    movq %rax, %rdi
    leaq BLOCK_SYMBOL(%rbx), %rsi
    call *BLOCK_DLSYM(%rbx)
    testq %rax, %rax
    je failed
    call *%rax
    movl %eax, BLOCK_STARTED(%rbx)
    movl $STATE_DONE, BLOCK_STATE(%rbx)
    jmp leave_mapping

failed:
    movq BLOCK_DLERROR(%rbx), %rax
    testq %rax, %rax
    je no_words
    call *%rax
    testq %rax, %rax
    je no_words
    movq %rax, %rsi
    leaq BLOCK_ERROR(%rbx), %rdi
    movl $BLOCK_ERROR_SIZE - 1, %ecx
copy_words:
    movb (%rsi), %al
    movb %al, (%rdi)
    testb %al, %al
    je no_words
    incq %rsi
    incq %rdi
    decl %ecx
    jnz copy_words
no_words:
    movl $STATE_FAILED, BLOCK_STATE(%rbx)
    jmp leave_mapping
withdrawn:
    movl $STATE_WITHDRAWN, BLOCK_STATE(%rbx)

leave_mapping:
    movl BLOCK_DESCRIPTOR(%rbx), %edi
    testl %edi, %edi
    js await_release
    movl $SYS_close, %eax
    syscall
    // The borrowed thread leaves the mapping first. Who borrowed it says when that is so; if nobody does, the mapping
    // stays: nobody else could tell.
await_release:
    movl $3000, %r12d
look_for_release:
    cmpl $0, BLOCK_RELEASED(%rbx)
    jne unmap
    leaq BLOCK_PAUSE(%rbx), %rdi
    xorl %esi, %esi
    movl $SYS_nanosleep, %eax
    syscall
    decl %r12d
    jnz look_for_release
    popq %rbp
    popq %r12
    popq %rbx
    xorl %eax, %eax
    ret

unmap:
    // munmap returns to the caller of this function, so that nothing of the mapping is needed afterwards.
    movq BLOCK_MAPPING(%rbx), %rdi
    movq BLOCK_MAPPING_LENGTH(%rbx), %rsi
    movq BLOCK_MUNMAP(%rbx), %rax
    popq %rbp
    popq %r12
    popq %rbx
    jmp *%rax
hot_fix_stub_end:

    .section .note.GNU-stack, "", @progbits
