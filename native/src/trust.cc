// Privileges, and the walk along a path that trusts no part of it before it was looked at.
#include "trust.h"

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr int most_links = 40; // as the kernel (path_resolution(7))

bool is_owner_trusted(const struct stat &status) { return status.st_uid == 0 || status.st_uid == geteuid(); }

/** Whether others may write to it. Distributions give each user a group of the user's own, which has the same number. */
bool is_open_to_others(const struct stat &status) {
  return (status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && status.st_gid != geteuid());
}

/** A path that is walked: `rest` is what is still to come of it. */
class Walk {
public:
  Walk(const char *path, Code missing, Failure &failure) : path_(path), missing_(missing), failure_(failure) {}
  ~Walk() { leave(); }
  Walk(const Walk &) = delete;
  Walk &operator=(const Walk &) = delete;

  int open_file() {
    if (!begin()) return -1;
    char name[NAME_MAX + 1];
    while (next_name(name)) {
      struct stat status {};
      if (fstatat(directory_, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return gone();
      if (S_ISLNK(status.st_mode)) {
        if (!is_owner_trusted(status)) return distrust("a symbolic link of user %u leads to it", status.st_uid);
        if (!follow(name)) return -1;
      } else if (rest_[0] == '\0') {
        return open_last(name);
      } else if (!enter(openat(directory_, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))) {
        return -1;
      }
    }
    errno = EISDIR;
    return gone();
  }

private:
  void leave() {
    if (directory_ >= 0) close(directory_);
    directory_ = -1;
  }

  int gone() {
    fail(failure_, missing_, errno, nullptr, "%s cannot be opened (errno %d)", path_, errno);
    return -1;
  }

  int distrust(const char *why, unsigned id) {
    char reason[160];
    std::snprintf(reason, sizeof reason, why, id);
    fail(failure_, Code::untrusted_patch_file, 0, nullptr, "%s is not loaded: %s", path_, reason);
    return -1;
  }

  bool begin() {
    if (path_[0] == '/') return set_rest(path_, "") && enter_root();
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == nullptr) return gone() >= 0;
    return set_rest(here, path_) && enter_root();
  }

  bool set_rest(const char *first, const char *second) {
    char both[PATH_MAX];
    const int length = std::snprintf(both, sizeof both, "%s/%s", first, second);
    if (length >= 0 && static_cast<std::size_t>(length) < sizeof both) {
      std::strcpy(rest_, both);
      return true;
    }
    errno = ENAMETOOLONG;
    return gone() >= 0;
  }

  bool enter_root() { return enter(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

  /** Goes on from a directory. In a sticky one others may add names, but not take away what is not theirs. */
  bool enter(int directory) {
    const int error_number = errno;
    leave();
    directory_ = directory;
    errno = error_number;
    if (directory < 0 || fstat(directory, &status_) != 0) return gone() >= 0;
    if (!is_owner_trusted(status_)) return distrust("a directory above it belongs to user %u", status_.st_uid) >= 0;
    if (is_open_to_others(status_) && (status_.st_mode & S_ISVTX) == 0) {
      return distrust("others may write to a directory above it (mode %o)", status_.st_mode & 07777) >= 0;
    }
    return true;
  }

  /** Takes the next name off `rest`; false when there is none. */
  bool next_name(char (&name)[NAME_MAX + 1]) {
    const std::size_t slashes = std::strspn(rest_, "/");
    const std::size_t length = std::strcspn(rest_ + slashes, "/");
    if (length == 0 || length > NAME_MAX) return false;
    std::memcpy(name, rest_ + slashes, length);
    name[length] = '\0';
    const char *after = rest_ + slashes + length;
    after += std::strspn(after, "/");
    std::memmove(rest_, after, std::strlen(after) + 1);
    return true;
  }

  bool follow(const char *name) {
    char target[PATH_MAX], rest[PATH_MAX];
    const ssize_t length = readlinkat(directory_, name, target, sizeof target - 1);
    if (++links_ > most_links) errno = ELOOP;
    if (length < 0 || links_ > most_links) return gone() >= 0;
    target[length] = '\0';
    std::strcpy(rest, rest_);
    return set_rest(target, rest) && (target[0] != '/' || enter_root());
  }

  int open_last(const char *name) {
    if (is_open_to_others(status_)) return distrust("others may write to its directory (mode %o)", status_.st_mode & 07777);
    const int file = openat(directory_, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || fstat(file, &status) != 0) return gone();
    int result = file;
    if (!S_ISREG(status.st_mode)) {
      close(file);
      fail(failure_, missing_, 0, nullptr, "%s: not a regular file", path_);
      return -1;
    }
    if (!is_owner_trusted(status)) result = distrust("it belongs to user %u", status.st_uid);
    else if (is_open_to_others(status)) result = distrust("others may write to it (mode %o)", status.st_mode & 07777);
    if (result < 0) close(file);
    return result;
  }

  const char *path_;
  Code missing_;
  Failure &failure_;
  char rest_[PATH_MAX];
  int directory_ = -1;
  int links_ = 0;
  struct stat status_ {}; // of the directory
};

} // namespace

bool is_for_good_another_user_than(uid_t user) {
  uid_t real = user, effective = user, saved = user;
  getresuid(&real, &effective, &saved);
  return effective != user && real == effective && saved == effective;
}

bool is_privileged() {
  uid_t user[3];
  gid_t group[3];
  if (getauxval(AT_SECURE) != 0 || getresuid(&user[0], &user[1], &user[2]) != 0 ||
      getresgid(&group[0], &group[1], &group[2]) != 0) {
    return true;
  }
  return user[0] != user[1] || user[1] != user[2] || group[0] != group[1] || group[1] != group[2];
}

int open_trusted(const char *path, Code missing, Failure &failure) { return Walk(path, missing, failure).open_file(); }

} // namespace hot_fix
