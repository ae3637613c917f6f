// Islands: jumps of unlimited reach, placed near an entry whose new version is more than 2 GiB away. An island is
// written once and never changed or freed: a thread may stand on it at any time.
#pragma once

#include "failure.h"

#include <cstdint>

namespace hot_fix {

/** Makes an island to `target` in reach of `from`. `symbol` is for the message (out-of-reach). */
bool make_island(std::uintptr_t from, std::uintptr_t target, const char *symbol, std::uintptr_t &island,
                 Failure &failure);

} // namespace hot_fix
