// JSON output.
#include "json.h"

#include <cstdio>

#include "poison.h"

namespace hot_fix {
namespace {

/** Length of the valid UTF-8 sequence that begins here (RFC 3629), or 0. */
std::size_t sequence_length(const unsigned char *at) {
  const auto continues = [&](int index) { return (at[index] & 0xc0) == 0x80; };
  if (at[0] < 0x80) return 1;
  if (at[0] >= 0xc2 && at[0] < 0xe0 && continues(1)) return 2;
  if (at[0] >= 0xe0 && at[0] < 0xf0 && continues(1) && continues(2)) {
    const bool overlong = at[0] == 0xe0 && at[1] < 0xa0, surrogate = at[0] == 0xed && at[1] >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (at[0] >= 0xf0 && at[0] < 0xf5 && continues(1) && continues(2) && continues(3)) {
    const bool overlong = at[0] == 0xf0 && at[1] < 0x90, beyond = at[0] == 0xf4 && at[1] >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

} // namespace

void JsonWriter::key(const char *name) {
  if (!first_) put(",", 1);
  first_ = false;
  if (name == nullptr) return;
  quoted(name);
  put(":", 1);
}

void JsonWriter::open(const char *name, char bracket) {
  key(name);
  put(&bracket, 1);
  first_ = true;
}

void JsonWriter::close(char bracket) {
  put(&bracket, 1);
  first_ = false;
}

void JsonWriter::raw(const char *name, const char *value) {
  key(name);
  put(value);
}

void JsonWriter::number(const char *name, std::int64_t value) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%lld", static_cast<long long>(value));
  raw(name, digits);
}

void JsonWriter::address(const char *name, std::uint64_t value) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "\"0x%llx\"", static_cast<unsigned long long>(value));
  raw(name, digits);
}

void JsonWriter::text(const char *name, const char *value) {
  key(name);
  quoted(value);
}

void JsonWriter::bytes(const char *name, const std::uint8_t *value, std::size_t length) {
  key(name);
  put("\"", 1);
  for (std::size_t i = 0; i < length; i++) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02x", value[i]);
    put(digits, 2);
  }
  put("\"", 1);
}

void JsonWriter::document(const char *name, const Buffer &json) {
  key(name);
  put(json.begin(), json.size());
}

void JsonWriter::quoted(const char *text) {
  put("\"", 1);
  for (const auto *at = reinterpret_cast<const unsigned char *>(text); *at != '\0';) {
    const std::size_t length = sequence_length(at);
    if (*at == '"' || *at == '\\') {
      const char escaped[2] = {'\\', static_cast<char>(*at)};
      put(escaped, 2);
    } else if (*at < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", *at);
      put(escaped, 6);
    } else if (length == 0) {
      put("\\ufffd", 6); // not UTF-8
    } else {
      put(reinterpret_cast<const char *>(at), length);
    }
    at += length != 0 ? length : 1;
  }
  put("\"", 1);
}

} // namespace hot_fix
