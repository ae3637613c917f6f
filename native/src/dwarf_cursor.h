// Reading DWARF's variable-length data without passing its end: LEB128 numbers (DWARF 4, section 7.6), blocks, and the
// encoded pointers of .eh_frame (LSB core specification, section 10.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hot_fix {

constexpr std::uint8_t pe_absolute = 0x00, pe_udata4 = 0x03, pe_udata8 = 0x04, pe_sdata4 = 0x0b, pe_sdata8 = 0x0c;
constexpr std::uint8_t pe_pc_relative = 0x10, pe_data_relative = 0x30, pe_indirect = 0x80, pe_omitted = 0xff;

/** The bytes of an encoded pointer; 0 for an encoding that is not of a fixed size. */
inline std::size_t encoded_size(std::uint8_t encoding) {
  switch (encoding & 0x0f) {
  case pe_udata4:
  case pe_sdata4:
    return 4;
  case pe_absolute:
  case pe_udata8:
  case pe_sdata8:
    return 8;
  default:
    return 0;
  }
}

/** Of a fixed size, and absolute or counted from its own place. */
inline bool is_known_encoding(std::uint8_t encoding) {
  const std::uint8_t relation = encoding & 0x70;
  return encoded_size(encoding) != 0 && (relation == 0 || relation == pe_pc_relative);
}

/** The value of an encoded pointer of a known encoding, what it counts from left out. */
inline std::uint64_t encoded_value(const std::uint8_t *at, std::uint8_t encoding) {
  std::uint64_t value;
  if (encoded_size(encoding) == 8) {
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::int32_t narrow;
  std::memcpy(&narrow, at, sizeof narrow);
  return (encoding & 0x0f) == pe_udata4 ? static_cast<std::uint32_t>(narrow)
                                        : static_cast<std::uint64_t>(std::int64_t{narrow});
}

/** A cursor over one record that stops at its end instead of passing it. */
struct Cursor {
  const std::uint8_t *at, *end;
  bool ok = true;

  bool has_more() const { return ok && at < end; }
  std::uint8_t byte() {
    if (at >= end) return ok = false, std::uint8_t{0};
    return *at++;
  }
  /** A little-endian number of `size` bytes, at most eight. */
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    const std::uint8_t *from = at;
    skip(size);
    if (ok) std::memcpy(&value, from, size);
    return value;
  }
  std::uint64_t leb128() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t part = byte();
      value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
      if ((part & 0x80) == 0) return value;
    }
    ok = false;
    return 0;
  }
  std::int64_t signed_leb128() {
    const std::uint8_t *from = at;
    std::uint64_t value = leb128();
    const auto bits = static_cast<std::size_t>(at - from) * 7;
    if (ok && bits < 64 && (at[-1] & 0x40) != 0) value |= ~std::uint64_t{0} << bits;
    return static_cast<std::int64_t>(value);
  }
  void skip(std::uint64_t count) {
    if (count > static_cast<std::uint64_t>(end - at)) {
      ok = false;
    } else {
      at += count;
    }
  }
  /** A block with its length before it. */
  Cursor block() {
    const std::uint64_t length = leb128();
    const std::uint8_t *start = at;
    skip(length);
    return ok ? Cursor{start, at} : Cursor{start, start, false};
  }
};

} // namespace hot_fix
