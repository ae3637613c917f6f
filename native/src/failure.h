// Errors as values: a code from the one table, what it concerns, and the message for the user. Nothing here logs.
#pragma once

namespace hot_fix {

enum class Code {
#define HOT_FIX_ERROR(name, code, kind, status, shown, title, hint) name,
#include "hot_fix_errors.def"
#undef HOT_FIX_ERROR
};

/** The code as it appears in answers, e.g. "bad-patch-file". */
const char *code_text(Code code);

struct Failure {
  Code code = Code::internal;
  int error_number = 0; // errno of the call that failed; 0: none
  char symbol[256] = "";
  char message[768] = "";
};

/** Fills in a failure and returns false, so that `return fail(…)` reads as what it does. `symbol` may be null. */
bool fail(Failure &failure, Code code, int error_number, const char *symbol, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

} // namespace hot_fix
