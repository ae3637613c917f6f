// Requests (native/src/request.cc): any text, as the worker reads it from the file of a request.
#include "request.h"

using namespace hot_fix;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  Buffer text;
  if (!text.reserve(size + 1) || !text.append(reinterpret_cast<const char *>(data), size)) return 0;
  *text.end() = '\0';
  Request request{};
  Failure failure;
  if (!parse_request(text, request, failure)) return 0;
  // What was accepted can be read to its end.
  std::size_t length = 0;
  for (const char *file : request.files) length += std::strlen(file);
  if (length > size) __builtin_trap();
  return 0;
}
