// The documents that the runtime writes (docs/PROTOCOL.md, sections 1 and 3): what it is, what it did, how things
// stand. Everything in them is read from the records or from memory at that moment.
#pragma once

#include "failure.h"
#include "memory.h"
#include "request.h"

#include <cstdint>

namespace hot_fix {

struct Timings {
  std::uint64_t read, load, relocate, write, total; // microseconds
};

/** What is told of a request beside its failure. */
struct Report {
  Timings timings{};
  List<MigratedType> migrated{}; // types of which objects were made anew
  List<Failure> warnings{}; // what did not work, and did not keep the request from being carried out
};

/** process.json. `asleep`: it was detached from. */
bool describe_process(int signal, int worker_tid, bool asleep, Buffer &json);

/** status.json. */
bool describe_status(std::uint64_t sequence, Buffer &json);

/** answers/ID.json; `failure` is null when the request was carried out. */
bool describe_answer(const char *id, const Failure *failure, const Report &report, const Buffer &status, Buffer &json);

/** Counts the threads in every version of every function, and in every patch. `patience`: see scan_stacks. False
 * when it could not be done; the counts are those of before then. */
bool count_active_threads(std::uint64_t patience);

} // namespace hot_fix
