// The document of a crash, written on the worker, whose stack is its own.
#include "crash_document.h"

#include "arch_x86_64.h"
#include "json.h"
#include "process.h"
#include "threads.h"

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>

#include "poison.h"

namespace hot_fix {
namespace {

constexpr std::size_t most_stack = 256 * 1024;
constexpr std::size_t most_maps = 8 << 20;
// Of a function that crashed before it moved the stack pointer (psABI for x86-64, section 3.2.2, the red zone); and how
// far below its stack a thread may be that has overflowed it.
constexpr std::uintptr_t below_stack = 128, beyond_stack = 64 << 20;

/** A fault of an instruction, not a signal that somebody sent or that is of a call which is over. */
bool comes_again(const siginfo_t &info) {
  if (info.si_code <= 0 || info.si_signo == SIGSYS) return false;
  return info.si_signo != SIGBUS || info.si_code != BUS_MCEERR_AO;
}

/** What of the thread's stack is in memory, from its pointer upwards. */
std::uintptr_t stack_start(const MemoryMap &map, std::uintptr_t pointer, std::uintptr_t &end) {
  for (const Mapping &mapping : map.mappings()) {
    if (mapping.end <= pointer || (mapping.protection & PROT_READ) == 0) continue;
    if (mapping.start > pointer + beyond_stack) break;
    end = mapping.end;
    return std::max(mapping.start, pointer > below_stack ? pointer - below_stack : pointer);
  }
  return end = 0;
}

void describe_stack(JsonWriter &json, std::uintptr_t pointer, Buffer &bytes) {
  MemoryMap map;
  std::uintptr_t end = 0;
  const std::uintptr_t start = map.read() ? stack_start(map, pointer, end) : 0;
  const std::size_t wanted_bytes = std::min<std::size_t>(end - start, most_stack);
  const std::size_t count = bytes.reserve(most_stack) ? read_memory(start, bytes.begin(), wanted_bytes) : 0;
  json.begin_object("stack");
  json.address("address", start);
  json.bytes("bytes", reinterpret_cast<const std::uint8_t *>(bytes.begin()), count);
  json.end_object();
}

} // namespace

Crash crash_of(int tid, const siginfo_t &info, void *context) {
  const bool is_fault = comes_again(info);
  return {info.si_signo, info.si_code, tid, is_fault ? reinterpret_cast<std::uintptr_t>(info.si_addr) : 0, is_fault,
          unix_milliseconds(), static_cast<ucontext_t *>(context)};
}

bool describe_crash(const Crash &crash, unsigned held, Buffer &buffer) {
  Buffer maps, bytes;
  char name[16];
  thread_name(crash.tid, name);
  JsonWriter json(buffer);
  json.begin_object();
  json.number("protocol", 1);
  json.number("pid", getpid());
  json.number("startTime", static_cast<std::int64_t>(start_time(getpid())));
  json.number("time", static_cast<std::int64_t>(crash.time));
  if (held != 0) {
    json.number("held", held);
    json.boolean("fault", crash.is_fault);
  }
  json.number("signal", crash.signal);
  json.number("code", crash.code);
  json.address("address", crash.address);
  json.number("tid", crash.tid);
  json.text("thread", name);
  json.begin_array("registers");
  for (unsigned number = 0; number <= arch::last_unwind_register; number++) {
    json.address(nullptr, arch::dwarf_register(crash.context, number));
  }
  json.end_array();
  if (held != 0) {
    json.begin_array("vectors");
    for (unsigned number = 0; number < arch::vector_count; number++) {
      json.address(nullptr, arch::vector(crash.context, number));
    }
    json.end_array();
  }
  describe_stack(json, arch::stack_pointer(crash.context), bytes);
  if (read_file("/proc/self/maps", maps, most_maps)) json.text("maps", maps.begin());
  json.end_object();
  return json.complete();
}

} // namespace hot_fix
