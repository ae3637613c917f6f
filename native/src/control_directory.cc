// The control directory: BASE/hot_fix-UID/PID/{process.json,status.json,requests,answers,patches,held}.
#include "control_directory.h"

#include "descriptor.h"
#include "directory_names.h"
#include "process.h"
#include "trust.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr std::size_t most_request_bytes = 1 << 20;
constexpr const char *subdirectories[] = {"requests", "answers", "patches", "held"};

constexpr const char *common_base = "/tmp";

char wanted_base[256];          // of the environment; "": it names none that can be used
const char *base = common_base; // of those two, the one that is in use
char user_name[40];             // of the user's directory in it
char passed_over[224];          // why another was not used; "": none was
int created_for_pid;            // 0: this process has no directory

/** Opens a directory that is ours alone, or -1: EPERM when it is anybody else's, or open to others. */
Descriptor open_own(int parent, const char *name) {
  Descriptor directory(openat(parent, name, directory_flags));
  struct stat status {};
  if (directory >= 0 && fstat(directory, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 077) == 0) {
    return directory;
  }
  if (directory >= 0) errno = EPERM;
  return Descriptor(-1);
}

/** The user that the directory is named for. The program may become another one at any moment. */
uid_t named_for;

/** Creates it if need be, and opens it. */
Descriptor make_own(int parent, const char *name) {
  if (mkdirat(parent, name, 0700) == 0) {
    struct stat status {};
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_uid != named_for) {
      // It would stand in the way of the user whose name it has.
      unlinkat(parent, name, AT_REMOVEDIR);
      errno = EPERM;
      return Descriptor(-1);
    }
    fchmodat(parent, name, 0700, 0); // whatever the umask
  } else if (errno != EEXIST) {
    return Descriptor(-1);
  }
  return open_own(parent, name);
}

Descriptor open_base() { return Descriptor(open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

Descriptor open_user_directory() {
  const Descriptor parent = open_base();
  return open_own(parent, user_name);
}

Descriptor open_control_directory() {
  if (created_for_pid != getpid()) return Descriptor(-1);
  char name[32];
  std::snprintf(name, sizeof name, "%d", created_for_pid);
  const Descriptor parent = open_user_directory();
  return open_own(parent, name);
}

void remove_files(int parent, const char *name) {
  const Descriptor directory(openat(parent, name, directory_flags));
  if (directory < 0) return;
  for_each_name(directory, [&](const char *file) { unlinkat(directory, file, 0); });
  unlinkat(parent, name, AT_REMOVEDIR);
}

/** Removes one process's directory, which has just two levels. */
void remove_process_directory(int user_directory, const char *name) {
  {
    const Descriptor directory = open_own(user_directory, name);
    if (directory < 0) return;
    // First, so that nobody takes what is being removed for a runtime.
    unlinkat(directory, "process.json", 0);
    for (const char *sub : subdirectories) remove_files(directory, sub);
    for_each_name(directory, [&](const char *file) { unlinkat(directory, file, 0); });
  }
  unlinkat(user_directory, name, AT_REMOVEDIR);
}

/** The number behind `"key":` in process.json; false when it is not there. */
bool number_of(const char *json, const char *key, std::uint64_t &number) {
  const char *at = std::strstr(json, key);
  if (at == nullptr) return false;
  number = std::strtoull(at + std::strlen(key), nullptr, 10);
  return true;
}

/** Whether the process has left a last word, which is kept for those who want to read it. */
bool has_recent_crash(int directory) {
  constexpr long kept = 600; // seconds
  struct stat status {};
  timespec now{};
  return fstatat(directory, "crash.json", &status, AT_SYMLINK_NOFOLLOW) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
         now.tv_sec - status.st_mtim.tv_sec < kept;
}

/** Whether the directory is that of a process in another container, which shares the base. Without process.json that cannot
 * be told, and is not so. */
bool is_of_other_namespace(int directory) {
  char own_namespace[64] = "";
  pid_namespace(own_namespace);
  const Descriptor file(openat(directory, "process.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  Buffer json;
  return file >= 0 && read_all(file, json, 64 << 10) && std::strstr(json.begin(), own_namespace) == nullptr;
}

/** Whether the directory was left behind by a process that has ended. */
bool is_stale(int user_directory, const char *name, const char *own_namespace) {
  const int pid = std::atoi(name);
  const Descriptor directory = open_own(user_directory, name);
  if (pid <= 0 || directory < 0) return false;
  const Descriptor file(openat(directory, "process.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  Buffer json;
  const std::uint64_t live = start_time(pid);
  // Without the file a process of that pid may be about to write it.
  if (file < 0 || !read_all(file, json, 64 << 10)) return live == 0;
  // In a container that shares the directory, pids mean other processes.
  if (std::strstr(json.begin(), own_namespace) == nullptr) return false;
  std::uint64_t started = 0;
  if (live == 0 && has_recent_crash(directory)) return false;
  return live == 0 || (number_of(json.begin(), "\"startTime\":", started) && started != live);
}

bool write_all(int descriptor, const char *bytes, std::size_t length) {
  while (length > 0) {
    const ssize_t count = write(descriptor, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    length -= static_cast<std::size_t>(count);
  }
  return true;
}

/** Opens the directory that `name` (with at most one slash) lies in, and gives the rest of the name. */
Descriptor open_directory_of(const char *name, const char *&file) {
  Descriptor directory = open_control_directory();
  file = name;
  const char *slash = std::strchr(name, '/');
  if (slash == nullptr || directory < 0) return directory;
  char sub[32];
  std::snprintf(sub, sizeof sub, "%.*s", static_cast<int>(slash - name), name);
  file = slash + 1;
  return open_own(directory, sub);
}

/** The name of a file of `patches/`; null for any other path. */
const char *patch_name(const char *path) {
  char own[sizeof wanted_base + 96];
  const int length = std::snprintf(own, sizeof own, "%s/%s/%d/patches/", base, user_name, created_for_pid);
  const char *name = path + length;
  if (std::strncmp(path, own, static_cast<std::size_t>(length)) != 0 || std::strchr(name, '/') != nullptr) return nullptr;
  return name;
}

bool is_request_id(const char *name) {
  const std::size_t length = std::strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return name[0] != '.' && length >= 1 && length <= 64 && name[length] == '\0';
}

} // namespace

void choose_base_directory() {
  const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || runtime[0] != '/' || std::strlen(runtime) >= sizeof base - 64) return;
  struct stat status {};
  if (stat(runtime, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) return;
  std::strcpy(wanted_base, runtime);
}

namespace {

bool create_directories(const char *name) {
  const Descriptor parent = open_base();
  const Descriptor user_directory = make_own(parent, user_name);
  if (user_directory < 0) return false;
  // Left by an earlier process of this pid, or by this one before it called exec.
  remove_process_directory(user_directory, name);
  const Descriptor directory = make_own(user_directory, name);
  bool complete = directory >= 0;
  for (const char *sub : subdirectories) complete = complete && make_own(directory, sub) >= 0;
  return complete;
}

/** Creates the directory in the base that is in use, under that name for the user's. */
bool create_in(const char *user, const char *name) {
  std::snprintf(user_name, sizeof user_name, "%s", user);
  // The last process to end removes the user's directory, perhaps while we are creating ours in it: ENOENT.
  for (int attempt = 0; attempt < 10; attempt++) {
    if (create_directories(name)) {
      created_for_pid = getpid();
      return true;
    }
    if (errno != ENOENT) break;
  }
  return false;
}

/** Takes down why the user's directory is not used. It is another's, say, and was put there before ours. */
void pass_over(int error_number) {
  if (passed_over[0] != '\0') return; // the first is the one that a user knows of
  const Descriptor parent = open_base();
  struct stat status {};
  char why[64];
  if (fstatat(parent, user_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
    std::snprintf(why, sizeof why, "cannot be created (errno %d)", error_number);
  } else if (!S_ISDIR(status.st_mode)) {
    std::snprintf(why, sizeof why, "is not a directory");
  } else if (status.st_uid != geteuid()) {
    std::snprintf(why, sizeof why, "belongs to user %u", status.st_uid);
  } else if ((status.st_mode & 077) != 0) {
    std::snprintf(why, sizeof why, "may be used by others (mode %o)", status.st_mode & 0777);
  } else {
    std::snprintf(why, sizeof why, "cannot be used (errno %d)", error_number);
  }
  std::snprintf(passed_over, sizeof passed_over, "%.100s/%s %s", base, user_name, why);
}

/** The user's directory under a name that nobody could have known: one that is there already, or a new one. */
void choose_unplanted_name(const char *user, char (&name)[40]) {
  const Descriptor parent = open_base();
  const std::size_t length = std::strlen(user);
  std::uint64_t random = monotonic_microseconds() ^ reinterpret_cast<std::uintptr_t>(name) << 16;
  syscall(SYS_getrandom, &random, sizeof random, 1 /* GRND_NONBLOCK */);
  std::snprintf(name, sizeof name, "%s.%012llx", user, static_cast<unsigned long long>(random & 0xffffffffffff));
  if (parent < 0) return;
  for_each_name(parent, [&](const char *other) {
    const bool is_alike = std::strncmp(other, user, length) == 0 && other[length] == '.';
    if (is_alike && std::strlen(other) < sizeof name && open_own(parent, other) >= 0) std::strcpy(name, other);
  });
}

} // namespace

bool create_control_directory(Failure &failure) {
  created_for_pid = 0;
  passed_over[0] = '\0';
  char user[32], name[32], unplanted[40];
  named_for = geteuid();
  std::snprintf(user, sizeof user, "hot_fix-%u", named_for);
  std::snprintf(name, sizeof name, "%d", getpid());
  const char *const places[] = {wanted_base, common_base};
  for (const char *place : places) {
    if (place[0] == '\0') continue;
    base = place;
    if (create_in(user, name)) return true;
    pass_over(errno);
  }
  choose_unplanted_name(user, unplanted);
  if (create_in(unplanted, name)) return true;
  if (geteuid() != named_for) return create_control_directory(failure);
  return fail(failure, Code::internal, errno, nullptr, "%s/%s/%s could not be created (errno %d)", base, user_name,
              name, errno);
}

bool has_changed_user() { return is_for_good_another_user_than(named_for); }

const char *passed_over_directory() { return passed_over; }

namespace {

/** Removes what an earlier program of this process has left: exec ends its worker wherever that is. */
void remove_predecessor(const char *name) {
  const char *const places[] = {wanted_base, common_base};
  for (const char *place : places) {
    if (place[0] == '\0') continue;
    base = place;
    std::snprintf(user_name, sizeof user_name, "hot_fix-%u", geteuid());
    const Descriptor user_directory = open_user_directory();
    const Descriptor directory = open_own(user_directory, name);
    if (directory < 0 || is_of_other_namespace(directory)) continue;
    remove_process_directory(user_directory, name);
    unlinkat(open_base(), user_name, AT_REMOVEDIR);
  }
}

} // namespace

void remove_control_directory() {
  char name[32];
  std::snprintf(name, sizeof name, "%d", getpid());
  if (created_for_pid != getpid()) return remove_predecessor(name);
  const Descriptor user_directory = open_user_directory();
  if (user_directory >= 0) remove_process_directory(user_directory, name);
  unlinkat(open_base(), user_name, AT_REMOVEDIR); // unless others have theirs in it
  created_for_pid = 0;
}

void sweep_stale_directories() {
  char own_namespace[64] = "";
  pid_namespace(own_namespace);
  const Descriptor user_directory = open_user_directory();
  if (user_directory < 0) return;
  for_each_name(user_directory, [&](const char *name) {
    if (is_stale(user_directory, name, own_namespace)) remove_process_directory(user_directory, name);
  });
}

bool write_control_file(const char *name, const Buffer &content) {
  const char *file = nullptr;
  const Descriptor directory = open_directory_of(name, file);
  if (directory < 0) return false;
  char temporary[96];
  std::snprintf(temporary, sizeof temporary, ".%s.tmp", file);
  unlinkat(directory, temporary, 0);
  const Descriptor to(openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (to < 0) return false;
  fchmod(to, 0600); // whatever the umask
  if (write_all(to, content.begin(), content.size()) && renameat(directory, temporary, directory, file) == 0) {
    return true;
  }
  unlinkat(directory, temporary, 0);
  return false;
}

void remove_control_file(const char *name) {
  const char *file = nullptr;
  const Descriptor directory = open_directory_of(name, file);
  if (directory >= 0) unlinkat(directory, file, 0);
}

void remove_patch_file(const char *path) {
  const char *name = patch_name(path), *unused = nullptr;
  if (name == nullptr) return;
  const Descriptor directory = open_directory_of("patches/", unused);
  if (directory >= 0) unlinkat(directory, name, 0);
}

bool take_request(char (&id)[65], Buffer &text) {
  const char *unused = nullptr;
  const Descriptor directory = open_directory_of("requests/", unused);
  if (directory < 0) return false;
  for (;;) {
    lseek(directory, 0, SEEK_SET);
    char oldest[65] = "";
    timespec oldest_time{};
    for_each_name(directory, [&](const char *name) {
      struct stat status {};
      if (!is_request_id(name) || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
      const timespec &time = status.st_mtim;
      const bool older = time.tv_sec != oldest_time.tv_sec    ? time.tv_sec < oldest_time.tv_sec
                         : time.tv_nsec != oldest_time.tv_nsec ? time.tv_nsec < oldest_time.tv_nsec
                                                               : std::strcmp(name, oldest) < 0;
      if (oldest[0] != '\0' && !older) return;
      std::strcpy(oldest, name);
      oldest_time = time;
    });
    if (oldest[0] == '\0') return false;
    const Descriptor file(openat(directory, oldest, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    const bool readable = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
                          read_all(file, text, most_request_bytes);
    // The engine withdraws a request by removing it: who removes it owns it.
    if (unlinkat(directory, oldest, 0) != 0) {
      if (errno == ENOENT) continue;
      // A directory, say: out of the way, so that it is not found again.
      if (renameat(directory, oldest, directory, ".unusable") != 0) return false;
    }
    if (!readable) {
      text.clear();
      if (text.reserve(1)) *text.end() = '\0';
    }
    std::strcpy(id, oldest);
    return true;
  }
}

int open_patch(const char *path, Code missing, Failure &failure) {
  const char *name = patch_name(path);
  if (name == nullptr) return open_trusted(path, missing, failure);
  const char *unused = nullptr;
  const Descriptor directory = open_directory_of("patches/", unused);
  const int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) fail(failure, missing, errno, nullptr, "%s cannot be opened (errno %d)", path, errno);
  return file;
}

bool keep_patch_copy(int source, const char *name, char (&path)[512]) {
  const char *unused = nullptr;
  const Descriptor directory = open_directory_of("patches/", unused);
  if (directory < 0) return false;
  unlinkat(directory, name, 0);
  const Descriptor to(openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (to < 0) return false;
  char chunk[16384];
  for (;;) {
    const ssize_t count = read(source, chunk, sizeof chunk);
    if (count < 0) return false;
    if (count == 0) break;
    if (!write_all(to, chunk, static_cast<std::size_t>(count))) return false;
  }
  std::snprintf(path, sizeof path, "%s/%s/%d/patches/%s", base, user_name, created_for_pid, name);
  return true;
}

} // namespace hot_fix
