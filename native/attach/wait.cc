// Reads the block until its state is final.
#include "wait.h"

#include "clock.h"
#include "library.h"
#include "remote_memory.h"
#include "steps.h"

namespace hot_fix {
namespace {

constexpr unsigned shortest_pause = 100, longest_pause = 1000; // microseconds

bool write_word(int pid, std::uint64_t address, std::uint32_t value) {
  return write_remote(pid, address, &value, sizeof value);
}

/** Behind this nothing of the mapping may be read: it goes. */
void release(int pid, std::uint64_t mapping) {
  write_word(pid, mapping + offsetof(Block, released), 1);
  reached(Step::released, pid);
}

} // namespace

bool wait_for_runtime(int pid, const char *library, std::uint64_t mapping, const Block &block, std::uint64_t deadline,
                      Failure &failure) {
  bool filled = block.use_memory_file == 0;
  for (unsigned pause = shortest_pause;; pause = pause < longest_pause ? pause * 5 / 4 : longest_pause) {
    Block now;
    if (!read_remote(pid, mapping, now)) return fail(failure, Code::ended, 0, nullptr, "Process %d has ended", pid);
    if (!filled && now.descriptor >= 0) {
      filled = true;
      if (!fill_memory_file(pid, library, mapping, now.descriptor, failure)) {
        write_word(pid, mapping + offsetof(Block, withdrawn), 1);
        release(pid, mapping);
        return false;
      }
    }
    if (now.state == STATE_DONE || now.state == STATE_FAILED) {
      reached(Step::waited, pid);
      release(pid, mapping);
      if (now.state == STATE_DONE && now.started == 0) return true;
      now.error[sizeof now.error - 1] = '\0';
      if (now.state == STATE_DONE) {
        return fail(failure, Code::not_loaded, 0, nullptr, "The runtime is in process %d, and could not start", pid);
      }
      return fail(failure, Code::not_loaded, 0, nullptr, "The loader of process %d refuses the runtime: %s", pid,
                  now.error[0] != '\0' ? now.error : "it does not say why");
    }
    if (monotonic_microseconds() > deadline) {
      write_word(pid, mapping + offsetof(Block, withdrawn), 1);
      release(pid, mapping);
      return fail(failure, Code::late, 0, nullptr,
                  "The loader of process %d is busy: the runtime is not there in time", pid);
    }
    pause_microseconds(pause);
  }
}

} // namespace hot_fix
