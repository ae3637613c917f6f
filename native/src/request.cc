// Parsing of requests: lines of `key value`, the first and the last of them fixed.
#include "request.h"

#include <cerrno>
#include <cstdlib>

#include "poison.h"

namespace hot_fix {
namespace {

bool bad(Failure &failure, const char *what, const char *line) {
  return fail(failure, Code::bad_request, 0, nullptr, "%s: %.200s", what, line);
}

/** Cuts the next line off; null at the end, or when the line does not end. */
char *next_line(char *&rest) {
  char *line = rest;
  char *end = std::strchr(rest, '\n');
  if (end == nullptr) return nullptr;
  *end = '\0';
  rest = end + 1;
  return line;
}

/** The value behind `key `, or null. */
const char *value_of(const char *line, const char *key) {
  const std::size_t length = std::strlen(key);
  return std::strncmp(line, key, length) == 0 && line[length] == ' ' ? line + length + 1 : nullptr;
}

bool parse_number(const char *text, int base, char terminator, std::uint64_t &number, const char *&rest) {
  char *end = nullptr;
  errno = 0;
  if (!((*text >= '0' && *text <= '9') || (base == 16 && *text != '\0' && std::strchr("abcdefABCDEF", *text)))) {
    return false;
  }
  number = std::strtoull(text, &end, base);
  rest = end;
  return errno == 0 && *end == terminator;
}

bool parse_address(const char *text, char terminator, std::uint64_t &address, const char *&rest) {
  return text[0] == '0' && text[1] == 'x' && parse_number(text + 2, 16, terminator, address, rest);
}

bool parse_command(const char *name, Request::Command &command) {
  static constexpr struct {
    const char *name;
    Request::Command command;
  } commands[] = {{"patch", Request::patch},
                  {"load", Request::load},
                  {"revert", Request::revert},
                  {"status", Request::status},
                  {"symbols", Request::symbols},
                  {"detach", Request::detach},
                  {"wake", Request::wake}};
  for (const auto &known : commands) {
    if (std::strcmp(name, known.name) != 0) continue;
    command = known.command;
    return true;
  }
  return false;
}

/** One line of the command's own; false when it is not one of them. */
bool parse_line(const char *line, Request &request) {
  const char *rest = "";
  std::uint64_t number = 0;
  if (const char *path = value_of(line, "file")) {
    const bool takes_file = request.command == Request::patch || request.command == Request::load ||
                            request.command == Request::symbols;
    return takes_file && path[0] == '/' && request.files.add(path);
  }
  if (const char *path = value_of(line, "source")) {
    return request.command == Request::patch && path[0] == '/' && request.sources.add(path);
  }
  if (const char *address = value_of(line, "revert")) {
    return request.command == Request::patch && parse_address(address, '\0', number, rest) &&
           request.functions.add({number, 0});
  }
  if (const char *function = value_of(line, "function")) {
    std::uint64_t version = 0;
    return request.command == Request::revert && parse_address(function, ' ', number, rest) &&
           parse_number(rest + 1, 10, '\0', version, rest) && version <= UINT32_MAX &&
           request.functions.add({number, static_cast<unsigned>(version)});
  }
  if (const char *patch = value_of(line, "patch")) {
    const bool valid = request.command == Request::symbols && parse_number(patch, 10, '\0', number, rest);
    request.patch_id = static_cast<unsigned>(number);
    return valid && number <= UINT32_MAX;
  }
  if (std::strcmp(line, "all") == 0 && request.command == Request::revert) return request.all = true;
  return false;
}

bool is_complete(const Request &request) {
  switch (request.command) {
  case Request::patch:
    return !request.files.empty() || !request.functions.empty();
  case Request::load:
  case Request::symbols:
    return request.files.size() == 1 && (request.command == Request::load || request.patch_id != 0);
  case Request::revert:
    return request.all != !request.functions.empty();
  case Request::status:
  case Request::detach:
  case Request::wake:
    return true;
  }
  return false;
}

} // namespace

bool parse_request(Buffer &text, Request &request, Failure &failure) {
  if (text.empty()) return bad(failure, "the request cannot be read", "");
  if (std::memchr(text.begin(), '\0', text.size()) != nullptr) return bad(failure, "the request holds a NUL", "");
  char *rest = text.begin();
  const char *line = next_line(rest);
  if (line == nullptr) return bad(failure, "the request has no lines", text.begin());
  const char *version = value_of(line, "hot_fix");
  if (version == nullptr) return bad(failure, "the request does not begin with its version", line);
  if (std::strcmp(version, "1") != 0) {
    return fail(failure, Code::protocol_mismatch, 0, nullptr, "the request is of protocol %.20s; this runtime speaks 1",
                version);
  }
  line = next_line(rest);
  const char *command = line != nullptr ? value_of(line, "command") : nullptr;
  if (command == nullptr || !parse_command(command, request.command)) {
    return bad(failure, "the request has no known command", line != nullptr ? line : "");
  }
  for (;;) {
    line = next_line(rest);
    if (line == nullptr) return bad(failure, "the request has no last line", "");
    if (std::strcmp(line, "end") == 0) break;
    if (!parse_line(line, request)) return bad(failure, "the request has a line that it should not have", line);
  }
  return is_complete(request) || bad(failure, "the request is not complete", command);
}

} // namespace hot_fix
