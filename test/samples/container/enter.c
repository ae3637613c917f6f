/* Runs a program as containers do: in a root of its own, which it is the only file system to see (pivot_root), with its
 * own process numbers and the /proc of them, and as a user of its own.
 *   enter ROOT HOW PROGRAM [ARGUMENT...]
 * HOW: "plain", "uid=N" (becomes that user), "map=N" (a user namespace whose root is that user outside),
 * "chroot" (a root with its /proc and nothing more: numbers and user are those outside) */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what) {
  if (result < 0) err(99, "%s", what);
}

static void write_file(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  const int file = open(path, O_WRONLY);
  check(file, path);
  check((int)write(file, text, strlen(text)), path);
  close(file);
}

static void map_user(pid_t pid, unsigned outside) {
  char map[64];
  snprintf(map, sizeof map, "0 %u 1", outside);
  write_file(pid, "setgroups", "deny");
  write_file(pid, "uid_map", map);
  write_file(pid, "gid_map", map);
}

static void change_root(const char *root) {
  check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  check(mount(root, root, NULL, MS_BIND | MS_REC, NULL), root);
  check(chdir(root), root);
  check(mount("proc", "proc", "proc", 0, NULL), "proc");
  check((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
  check(umount2(".", MNT_DETACH), "umount");
  check(chdir("/"), "/");
}

int main(int count, char **words) {
  if (count < 4) errx(99, "usage: enter ROOT HOW PROGRAM...");
  const char *root = words[1], *how = words[2];
  if (strcmp(how, "chroot") == 0) {
    check(unshare(CLONE_NEWNS), "unshare");
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    check(chdir(root), root);
    check(mount("proc", "proc", "proc", 0, NULL), "proc");
    check(chroot(root), root);
    check(chdir("/"), "/");
    execv(words[3], words + 3);
    err(99, "%s", words[3]);
  }
  const unsigned id = strchr(how, '=') != NULL ? (unsigned)atoi(strchr(how, '=') + 1) : getuid();
  const int mapped = strncmp(how, "map=", 4) == 0 || getuid() != 0;
  int ready[2], mapping[2];
  char byte = 0;
  check(pipe2(ready, O_CLOEXEC), "pipe");
  check(pipe2(mapping, O_CLOEXEC), "pipe");
  const pid_t child = fork();
  check(child, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    check(unshare(CLONE_NEWNS | CLONE_NEWPID | (mapped ? CLONE_NEWUSER : 0)), "unshare");
    check((int)write(ready[1], &byte, 1), "ready");
    check((int)read(mapping[0], &byte, 1), "mapped");
    if (mapped) {
      check(setresgid(0, 0, 0), "setresgid");
      check(setresuid(0, 0, 0), "setresuid");
    }
    const pid_t first = fork();
    check(first, "fork");
    if (first == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      change_root(root);
      if (!mapped && id != 0) {
        check(setresgid(id, id, id), "setresgid");
        check(setresuid(id, id, id), "setresuid");
      }
      execv(words[3], words + 3);
      err(99, "%s", words[3]);
    }
    /* Nobody but the program waits for the standard input. */
    close(0);
    int status = 0;
    waitpid(first, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
  }
  close(0);
  check((int)read(ready[0], &byte, 1), "ready");
  if (mapped) map_user(child, id);
  check((int)write(mapping[1], &byte, 1), "mapped");
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}
