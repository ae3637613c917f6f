// Errors as values: texts and formatting. Formats into the failure's own memory; allocates nothing.
#include "failure.h"

#include <cstdarg>
#include <cstdio>

#include "poison.h"

namespace hot_fix {

const char *code_text(Code code) {
  switch (code) {
#define HOT_FIX_ERROR(name, text, kind, status, shown, title, hint)                                                       \
  case Code::name:                                                                                                   \
    return text;
#include "hot_fix_errors.def"
#undef HOT_FIX_ERROR
  }
  return "internal";
}

bool fail(Failure &failure, Code code, int error_number, const char *symbol, const char *format, ...) {
  failure.code = code;
  failure.error_number = error_number;
  std::snprintf(failure.symbol, sizeof failure.symbol, "%s", symbol != nullptr ? symbol : "");
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(failure.message, sizeof failure.message, format, arguments);
  va_end(arguments);
  return false;
}

} // namespace hot_fix
