/* Runs a program as Yama would have it, on a kernel that may have no Yama: kernel.yama.ptrace_scope is what the first
 * argument says (nothing: there is no such file), and the calls for which Yama is asked (PTRACE_MODE_ATTACH of ptrace(2))
 * are denied. Reading files of /proc, for which it is not asked, is as ever. To be run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DENY(call)                                                                                                     \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

int main(int count, char **arguments) {
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), DENY(SYS_ptrace),
      DENY(SYS_process_vm_readv), DENY(SYS_process_vm_writev), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog filter = {sizeof rules / sizeof *rules, rules};
  if (count < 3 || unshare(CLONE_NEWNS) != 0 || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0) != 0 ||
      mount("none", "/proc/sys/kernel", "tmpfs", 0, 0) != 0 || mkdir("/proc/sys/kernel/yama", 0755) != 0)
    return 125;
  if (arguments[1][0] != '\0') {
    FILE *scope = fopen("/proc/sys/kernel/yama/ptrace_scope", "w");
    if (scope == 0 || fprintf(scope, "%s\n", arguments[1]) < 0 || fclose(scope) != 0) return 125;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 125;
  execvp(arguments[2], arguments + 2);
  return 125;
}
