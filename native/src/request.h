// A request of the engine (docs/PROTOCOL.md, section 2), from text to values. Pure: looks at nothing but the text.
#pragma once

#include "failure.h"
#include "memory.h"

#include <cstdint>

namespace hot_fix {

struct Request {
  enum Command { patch, load, revert, status, symbols, detach, wake };
  struct Target {
    std::uintptr_t entry;
    unsigned version;
  };
  Command command;
  List<const char *> files;  // texts in the buffer that was parsed
  List<const char *> sources; // that were saved; for the program's hooks
  List<Target> functions;    // to be reverted, to that version
  bool all;                  // revert all functions to their originals
  unsigned patch_id;         // of `symbols`
};

/** Parses in place: the texts of the request point into `text`, which ends with a NUL. Fails with bad-request. */
bool parse_request(Buffer &text, Request &request, Failure &failure);

} // namespace hot_fix
