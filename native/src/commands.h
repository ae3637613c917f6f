// Carries out requests: loads what they name, makes the changes in one transaction, keeps the records. Knows
// nothing of files of the control directory or of signals.
#pragma once

#include "failure.h"
#include "request.h"
#include "status.h"

namespace hot_fix {

/** When it fails, nothing of the request has happened. */
bool execute(const Request &request, Report &report, Failure &failure);

} // namespace hot_fix
