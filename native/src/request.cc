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
                  {"wake", Request::wake},
                  {"hold", Request::hold},
                  {"resume", Request::resume}};
  for (const auto &known : commands) {
    if (std::strcmp(name, known.name) != 0) continue;
    command = known.command;
    return true;
  }
  return false;
}

bool parse_count(const char *text, std::uint64_t most, std::uint64_t &number) {
  const char *rest;
  return parse_number(text, 10, '\0', number, rest) && number <= most;
}

bool parse_holding(const char *line, Request &request) {
  static constexpr struct {
    const char *name;
    Holding holding;
  } modes[] = {{"off", Holding::off}, {"patched", Holding::patched}, {"all", Holding::all}};
  const char *rest = "";
  std::uint64_t number = 0;
  if (const char *name = value_of(line, "mode")) {
    for (const auto &mode : modes) {
      if (std::strcmp(name, mode.name) != 0) continue;
      request.holding = mode.holding;
      return request.names_mode = true;
    }
    return false;
  }
  if (const char *engine = value_of(line, "engine")) {
    if (!parse_number(engine, 10, ' ', number, rest) || number == 0 || number > INT32_MAX) return false;
    request.engine_pid = static_cast<int>(number);
    if (!parse_number(rest + 1, 10, ' ', request.engine_start, rest)) return false;
    request.engine_namespace = rest + 1;
    return true;
  }
  if (const char *limit = value_of(line, "limit")) {
    if (!parse_count(limit, UINT32_MAX, number)) return false;
    request.limit = static_cast<unsigned>(number);
    return true;
  }
  const char *module = value_of(line, "module");
  return module != nullptr && module[0] == '/' && request.modules.add(module);
}

bool parse_resumption(const char *line, Request &request) {
  static constexpr struct {
    const char *name;
    Way way;
  } ways[] = {{"instruction", Way::instruction}, {"return", Way::returns}, {"call", Way::call}, {"crash", Way::crash}};
  const char *rest = "";
  std::uint64_t number = 0;
  if (const char *thread = value_of(line, "thread")) {
    if (!parse_count(thread, INT32_MAX, number)) return false;
    request.tid = static_cast<int>(number);
    return true;
  }
  if (const char *held = value_of(line, "held")) {
    if (!parse_count(held, UINT32_MAX, number)) return false;
    request.held = static_cast<unsigned>(number);
    return true;
  }
  if (const char *name = value_of(line, "way")) {
    for (const auto &way : ways) {
      if (std::strcmp(name, way.name) == 0) request.way = way.way;
    }
    return request.way != Way::none;
  }
  if (const char *vector = value_of(line, "vector")) {
    if (!parse_number(vector, 10, ' ', number, rest) || number >= arch::argument_vectors) return false;
    request.changed_vectors |= std::uint32_t{1} << number;
    return parse_address(rest + 1, '\0', request.vectors[number], rest);
  }
  const char *given = value_of(line, "register");
  if (given == nullptr || !parse_number(given, 10, ' ', number, rest) || number > arch::last_unwind_register) return false;
  request.changed |= std::uint32_t{1} << number;
  return parse_address(rest + 1, '\0', request.registers[number], rest);
}

/** One of the lines that say what a patch migrates; false when it is none. */
bool parse_migration(const char *line, Request &request) {
  const char *rest = "";
  std::uint64_t number = 0;
  if (const char *migrator = value_of(line, "migrator")) {
    if (!parse_address(migrator, '\0', number, rest)) return false;
    request.migrator = number;
    return number != 0;
  }
  if (const char *sizes = value_of(line, "migrate")) {
    constexpr std::uint64_t most = 1 << 30;
    constexpr std::size_t longest_layout = 64;
    MigratedType type{};
    if (!parse_number(sizes, 10, ' ', type.before, rest) || type.before == 0 || type.before > most) return false;
    if (!parse_number(rest + 1, 10, ' ', type.after, rest) || type.after == 0 || type.after > most) return false;
    char *layout = const_cast<char *>(rest) + 1; // of the text that is parsed in place
    char *space = std::strchr(layout, ' ');
    if (space == nullptr || space == layout || static_cast<std::size_t>(space - layout) > longest_layout) return false;
    *space = '\0';
    type.layout = layout;
    type.type = space + 1;
    return type.type[0] != '\0' && request.migrated.add(type);
  }
  const char *quiet = value_of(line, "quiet"), *unreferenced = value_of(line, "unreferenced");
  const char *range = quiet != nullptr ? quiet : unreferenced;
  std::uint64_t length = 0;
  if (range == nullptr || !parse_address(range, ' ', number, rest)) return false;
  if (!parse_number(rest + 1, 10, ' ', length, rest)) return false;
  return (quiet != nullptr ? request.quiet : request.unreferenced).add({number, length, rest + 1});
}

/** One line of the command's own; false when it is not one of them. */
bool parse_line(const char *line, Request &request) {
  if (request.command == Request::hold) return parse_holding(line, request);
  if (request.command == Request::resume) return parse_resumption(line, request);
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
  if (request.command == Request::patch && parse_migration(line, request)) return true;
  if (std::strcmp(line, "all") == 0 && request.command == Request::revert) return request.all = true;
  return false;
}

bool is_complete(const Request &request) {
  switch (request.command) {
  case Request::patch:
    if (request.migrated.empty() != (request.migrator == 0)) return false;
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
  case Request::hold:
    return request.names_mode && request.engine_pid != 0;
  case Request::resume:
    return request.tid != 0 && request.held != 0 && request.way != Way::none;
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
