// hot_fix_attach: brings the runtime into a process that was started without it. One process, one JSON document on
// standard output, an exit status; the engine is who calls it. What it does stands in attach.cc.
//
//   hot_fix_attach [--within MS] PID LIBRARY   0 done (or it was there), 2 refused or failed: the process is unharmed
//   hot_fix_attach --look PID…                 0; what each process is: ready, attachable, or why not
#include "attach.h"
#include "json.h"
#include "look.h"
#include "steps.h"

#include <cerrno>
#include <cstdlib>
#include <unistd.h>

namespace hot_fix {
namespace {

constexpr int done = 0, refused = 2, wrong_usage = 64;
constexpr std::uint64_t usual_time = 2000000; // microseconds

void write_failure(JsonWriter &json, const Failure &failure) {
  json.begin_object("error");
  json.text("code", code_text(failure.code));
  json.text("message", failure.message);
  json.number("errno", failure.error_number);
  json.end_object();
}

bool print(Buffer &text) {
  if (!text.append("\n", 1)) return false;
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t count = write(STDOUT_FILENO, text.begin() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    written += static_cast<std::size_t>(count);
  }
  return true;
}

int usage() {
  static constexpr char text[] = "usage: hot_fix_attach [--within MILLISECONDS] PID LIBRARY\n"
                                 "       hot_fix_attach --look PID...\n";
  return write(STDERR_FILENO, text, sizeof text - 1) < 0 ? refused : wrong_usage;
}

int run_attach(int pid, const char *library, std::uint64_t longest) {
  Attachment attachment;
  Failure failure;
  const bool attached = attach(pid, library, longest, attachment, failure);
  Buffer text;
  JsonWriter json(text);
  json.begin_object();
  json.number("pid", pid);
  json.text("outcome", !attached ? "refused" : attachment.was_ready ? "ready" : "attached");
  if (!attached) write_failure(json, failure);
  json.number("thread", attachment.tid);
  json.text("activity", attachment.activity);
  json.number("samples", attachment.samples);
  json.number("pause", static_cast<std::int64_t>(attachment.pause));
  json.number("total", static_cast<std::int64_t>(attachment.total));
  json.end_object();
  return print(text) && attached ? done : refused;
}

int run_look(char **pids) {
  Buffer text;
  JsonWriter json(text);
  json.begin_array();
  for (; *pids != nullptr; pids++) {
    Look seen;
    Modules modules;
    Failure failure;
    const bool possible = look(std::atoi(*pids), seen, modules, failure);
    json.begin_object();
    json.number("pid", std::atoi(*pids));
    json.text("outcome", !possible ? "refused" : seen.has_runtime ? "ready" : "attachable");
    if (!possible) write_failure(json, failure);
    json.end_object();
  }
  json.end_array();
  return print(text) ? done : refused;
}

} // namespace
} // namespace hot_fix

int main(int count, char **arguments) {
  using namespace hot_fix;
  char **at = arguments + 1;
  std::uint64_t longest = usual_time;
  for (; count > 2 && *at != nullptr && at[1] != nullptr; at += 2) {
    if (std::strcmp(*at, "--within") == 0) {
      longest = std::strtoull(at[1], nullptr, 10) * 1000;
    } else if (std::strncmp(*at, "--end-", 6) == 0) { // for tests of what happens when something ends in the middle
      if (!end_at(at[1], std::strcmp(*at, "--end-process-at") == 0)) return usage();
    } else {
      break;
    }
  }
  if (*at == nullptr) return usage();
  if (std::strcmp(*at, "--look") == 0) return run_look(at + 1);
  const int pid = std::atoi(*at);
  if (pid <= 0 || at[1] == nullptr || at[2] != nullptr) return usage();
  return run_attach(pid, at[1], longest);
}
