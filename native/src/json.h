// Writes JSON (RFC 8259) into a buffer. Commas are put where they belong; texts are made valid UTF-8.
#pragma once

#include "memory.h"

#include <cstdint>

namespace hot_fix {

class JsonWriter {
public:
  explicit JsonWriter(Buffer &buffer) : buffer_(buffer) {}

  void begin_object(const char *key = nullptr) { open(key, '{'); }
  void end_object() { close('}'); }
  void begin_array(const char *key = nullptr) { open(key, '['); }
  void end_array() { close(']'); }

  void null(const char *key) { raw(key, "null"); }
  void boolean(const char *key, bool value) { raw(key, value ? "true" : "false"); }
  void number(const char *key, std::int64_t value);
  void address(const char *key, std::uint64_t value); // "0x…"
  void text(const char *key, const char *value);
  void bytes(const char *key, const std::uint8_t *value, std::size_t length); // lower-case hex
  /** A document that is JSON already. */
  void document(const char *key, const Buffer &json);

  /** False when memory ran out: the buffer is not a document then. */
  bool complete() const { return complete_; }

private:
  void put(const char *text, std::size_t length) { complete_ = buffer_.append(text, length) && complete_; }
  void put(const char *text) { put(text, std::strlen(text)); }
  void key(const char *name);
  void open(const char *key, char bracket);
  void close(char bracket);
  void raw(const char *key, const char *value);
  void quoted(const char *text);

  Buffer &buffer_;
  bool first_ = true;
  bool complete_ = true;
};

} // namespace hot_fix
