// Reads /proc/PID/{stat,status,exe,task} and the loader's list in memory.
#include "look.h"

#include "arch_x86_64.h"
#include "entrances.h"
#include "proc_files.h"
#include "remote_memory.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hot_fix {
namespace {

bool gone(int pid, Failure &failure) {
  return fail(failure, Code::ended, 0, nullptr, "There is no process %d", pid);
}

/** Access for reading (PTRACE_MODE_READ of ptrace(2)), for which Yama is not asked, was denied; or it is not Yama. */
bool denied_by_the_process(int pid, Failure &failure) {
  return fail(failure, Code::not_dumpable, 0, nullptr, "The system denies access to process %d", pid);
}

/** kernel.yama.ptrace_scope (Documentation/admin-guide/LSM/Yama.rst of Linux): 0 lets everybody trace whom they may
 * trace otherwise, 1 only parents and 2 nobody; both leave those out that have the capability. 3 is for all, and for as
 * long as the system runs. Without Yama: 0. */
constexpr int yama_denies_all = 3;

int yama_scope() {
  Buffer scope;
  return read_file("/proc/sys/kernel/yama/ptrace_scope", scope, 64) ? std::atoi(scope.begin()) : 0;
}

/** The kernel's own rule (ptrace(2), "Ptrace access mode checking"), asked here as well: where this program has the
 * capability to trace, the kernel would no longer ask it. */
bool belongs_to_caller(int pid, const StatusFile &status, Failure &failure) {
  if (getuid() == 0) return true;
  char line[128];
  status.text("Uid", line, sizeof line);
  char *at = line;
  for (int field = 0; field < 4; field++) { // real, effective, saved, of the file system
    if (std::strtoul(at, &at, 10) == getuid()) continue;
    return fail(failure, Code::other_user, 0, nullptr, "Process %d belongs to another user", pid);
  }
  char own[64] = "", theirs[64] = "", path[48];
  std::snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  const bool known = readlink("/proc/self/ns/user", own, sizeof own - 1) > 0 &&
                     readlink(path, theirs, sizeof theirs - 1) > 0 && std::strcmp(own, theirs) != 0;
  // In a user namespace of its own every process has all capabilities, and none that counts here.
  if (!known && status.mask("CapPrm") != 0) {
    return fail(failure, Code::file_capability, 0, nullptr, "The file of process %d gives it capabilities (%llx)", pid,
                static_cast<unsigned long long>(status.mask("CapPrm")));
  }
  std::snprintf(path, sizeof path, "/proc/%d/environ", pid);
  struct stat file {};
  if (stat(path, &file) != 0) return gone(pid, failure);
  if (file.st_uid != getuid()) { // proc(5): files of a process that is not dumpable belong to root
    return fail(failure, Code::not_dumpable, 0, nullptr, "Process %d is not dumpable: it, or its file, says so", pid);
  }
  return true;
}

bool runs(int pid, const StatusFile &status, Failure &failure) {
  const int tracer = static_cast<int>(status.number("TracerPid"));
  if (tracer != 0) {
    StatFile stat{};
    const bool known = read_stat(tracer, 0, stat);
    return fail(failure, Code::debugged, 0, nullptr, "%s (process %d) debugs process %d",
                known ? stat.name : "A debugger", tracer, pid);
  }
  char state[16];
  status.text("State", state, sizeof state);
  if (state[0] == 'T') return fail(failure, Code::stopped, 0, nullptr, "Process %d is stopped", pid);
  return true;
}

/** The executable's class, machine and program interpreter (ELF gABI, "Program Header"). */
bool is_of_known_kind(int pid, Failure &failure) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/exe", pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == EACCES || errno == EPERM) return denied_by_the_process(pid, failure);
    return gone(pid, failure);
  }
  Elf64_Ehdr header{};
  char interpreter[256] = "";
  bool dynamic = false;
  const bool is_elf = pread(file, &header, sizeof header, 0) == sizeof header;
  const bool known = is_elf && header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == arch::elf_machine;
  for (unsigned i = 0; known && i < header.e_phnum; i++) {
    Elf64_Phdr segment{};
    const auto at = static_cast<off_t>(header.e_phoff + std::uint64_t{i} * sizeof segment);
    if (pread(file, &segment, sizeof segment, at) != sizeof segment) break;
    if (segment.p_type != PT_INTERP) continue;
    dynamic = true;
    const ssize_t length = pread(file, interpreter, sizeof interpreter - 1, static_cast<off_t>(segment.p_offset));
    interpreter[length > 0 ? length : 0] = '\0';
  }
  close(file);
  if (!known) {
    return fail(failure, Code::architecture, 0, nullptr, "Process %d runs a program for another processor or mode",
                pid);
  }
  if (!dynamic) return fail(failure, Code::static_program, 0, nullptr,
                            "The program of process %d is linked statically", pid);
  if (is_named(interpreter, "ld-musl")) {
    return fail(failure, Code::musl, 0, nullptr, "The program of process %d uses the C library musl", pid);
  }
  return true;
}

long filters(const StatusFile &status) {
  // Linux before 5.9 has the mode only; 2 is filtering.
  char count[16];
  status.text("Seccomp_filters", count, sizeof count);
  return count[0] != '\0' ? std::atol(count) : status.number("Seccomp") != 0;
}

/** In a container everything is filtered, the caller too: only what is filtered more than the caller counts. */
bool is_unfiltered(int pid, const List<int> &threads, Failure &failure) {
  StatusFile own;
  if (!own.read(getpid())) return true;
  for (const int tid : threads) {
    StatusFile status;
    if (!status.read(pid, tid) || filters(status) <= filters(own)) continue;
    return fail(failure, Code::seccomp, 0, nullptr, "Thread %d of process %d filters its system calls", tid, pid);
  }
  return true;
}

/** The runtime finds its threads and memory under /proc: one must be mounted where the process sees it, and be that of
 * its process numbers. */
bool sees_itself(int pid, const StatusFile &status, Failure &failure) {
  char path[80], own[64] = "", seen[64] = "";
  std::snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
  if (readlink(path, own, sizeof own - 1) <= 0) return true; // what denies it is told by name elsewhere
  std::snprintf(path, sizeof path, "/proc/%d/root/proc/%ld/ns/pid", pid, status.last_number("NSpid"));
  if (readlink(path, seen, sizeof seen - 1) > 0 && std::strcmp(own, seen) == 0) return true;
  return fail(failure, Code::no_proc, 0, nullptr, "Process %d sees no /proc with its own process numbers", pid);
}

bool has_worker(int pid, const List<int> &threads) {
  for (const int tid : threads) {
    StatFile stat{};
    if (read_stat(pid, tid, stat) && std::strcmp(stat.name, "hot_fix") == 0) return true;
  }
  return false;
}

} // namespace

bool explain_denial(int pid, Failure &failure) {
  StatusFile own;
  const bool capable = own.read(getpid()) && (own.mask("CapEff") >> CAP_SYS_PTRACE & 1) != 0;
  const int scope = yama_scope();
  if (scope == yama_denies_all) {
    return fail(failure, Code::yama, 0, nullptr,
                "Until it is booted anew this system lets nobody attach to any process (kernel.yama.ptrace_scope is %d)",
                scope);
  }
  if (scope > 0 && !capable) {
    return fail(failure, Code::yama, 0, nullptr,
                "This system lets nobody attach to process %d (kernel.yama.ptrace_scope is %d)", pid, scope);
  }
  return denied_by_the_process(pid, failure);
}

bool look(int pid, Look &look, Modules &modules, Failure &failure) {
  look.pid = pid;
  StatFile stat{};
  StatusFile status;
  if (!read_stat(pid, 0, stat) || !status.read(pid) || stat.state == 'Z' || stat.state == 'X') return gone(pid,
      failure);
  look.start_time = stat.start_time;
  char directory[32];
  std::snprintf(directory, sizeof directory, "/proc/%d/task", pid);
  List<int> threads;
  if (!list_numbers(directory, threads)) return gone(pid, failure);
  if (!belongs_to_caller(pid, status, failure)) return false;
  look.has_runtime = has_worker(pid, threads);
  if (look.has_runtime) return true;
  if (!runs(pid, status, failure) || !is_of_known_kind(pid, failure) || !is_unfiltered(pid, threads, failure) ||
      !sees_itself(pid, status, failure)) {
    return false;
  }
  // Shadow stacks: returns into prepared frames would be taken for an attack.
  char features[64];
  status.text("x86_Thread_features", features, sizeof features);
  if (std::strstr(features, "shstk") != nullptr) {
    return fail(failure, Code::architecture, 0, nullptr, "Process %d keeps a shadow stack", pid);
  }
  std::uint64_t probe = 0;
  Buffer vector;
  if (!read_process_file(pid, 0, "auxv", vector) || vector.empty()) return gone(pid, failure);
  for (std::size_t at = 0; at + sizeof(Elf64_auxv_t) <= vector.size(); at += sizeof(Elf64_auxv_t)) {
    Elf64_auxv_t entry;
    std::memcpy(&entry, vector.begin() + at, sizeof entry);
    if (entry.a_type == AT_PHDR) probe = entry.a_un.a_val;
  }
  errno = 0;
  if (!read_remote(pid, probe, probe)) {
    if (errno == EPERM) return explain_denial(pid, failure);
    return gone(pid, failure);
  }
  Entrances entrances;
  // Without the loader's list the program is just starting; that is not a property of it.
  return !modules.read(pid) || find_entrances(modules, entrances, failure);
}

} // namespace hot_fix
