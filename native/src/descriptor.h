// An open file that is closed with its scope.
#pragma once

#include <unistd.h>

namespace hot_fix {

/** A descriptor that closes itself. */
class Descriptor {
public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor &&other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  operator int() const { return number_; }

private:
  int number_;
};

} // namespace hot_fix
