// What the service answers: one line in, one line out. Stateful: it counts requests, remembers customers and keeps
// the money it took. Knows nothing of sockets.
#pragma once

#include <string>

namespace shop {

/** Answers one request line. Called by all worker threads at once. */
std::string answer(const std::string &request);

/** Requests answered since the process started. */
long requests_answered();

}  // namespace shop
