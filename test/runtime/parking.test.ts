// What a thread does that gets no processor in the middle of the handler in which threads park. Nobody can order that of
// a real process, so the handler itself is compiled into a program that holds it up at a page fault.
import { strict as assert } from 'node:assert';
import { runWithInternals } from '../support/runtime_internals';
import { inRuntimeSession } from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

const source = `
#include <cstdio>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
namespace { void say(const char *what, bool is_so) { std::printf("%s %s\\n", what, is_so ? "yes" : "no"); } }
#include "parking.cc"

using namespace hot_fix;
namespace {
struct Runner {
  pthread_t thread;
  std::atomic<int> tid;
  std::atomic<long> turns;
  std::atomic<std::uintptr_t> stack;
};
Runner late, other;
sem_t held, go_on;

void *run(void *argument) {
  auto *runner = static_cast<Runner *>(argument);
  runner->stack.store(reinterpret_cast<std::uintptr_t>(&argument));
  runner->tid.store(static_cast<int>(syscall(SYS_gettid)));
  for (;;) runner->turns.fetch_add(1);
  return nullptr;
}

void start(Runner &runner) {
  pthread_create(&runner.thread, nullptr, run, &runner);
  while (runner.tid.load() == 0) sched_yield();
}

void hold(int, siginfo_t *, void *) {
  sem_post(&held);
  while (sem_wait(&go_on) != 0) {
  }
}

bool has_own_stack(const Slot *slot, const Runner &runner) {
  const std::uintptr_t below = runner.stack.load() - slot->stack_pointer.load();
  return below < 65536;
}
} // namespace

int main() {
  sem_init(&held, 0, 0);
  sem_init(&go_on, 0, 0);
  install_handler(SIGSEGV, hold);
  start(late);
  start(other);
  const int signal = parking_signal();
  if (signal == 0 || !have_slots()) return 1;
  begin_round();
  // The first thread is in the handler, and is held up before it has said where it was.
  mprotect(slots, most_threads * sizeof(Slot), PROT_READ);
  pthread_kill(late.thread, signal);
  sem_wait(&held);
  mprotect(slots, most_threads * sizeof(Slot), PROT_READ | PROT_WRITE);
  unpark_threads();
  // A second thread parks in the next round.
  begin_round();
  pthread_kill(other.thread, signal);
  while (slot_of(other.tid) == nullptr) sched_yield();
  say("other parked", has_own_stack(slot_of(other.tid), other));
  sem_post(&go_on);
  for (const long before = late.turns.load(); late.turns.load() == before;) sched_yield();
  say("late counts as parked", slot_of(late.tid) != nullptr);
  say("other still parked", slot_of(other.tid) != nullptr && has_own_stack(slot_of(other.tid), other));
  unpark_threads();
  for (const long before = other.turns.load(); other.turns.load() == before;) sched_yield();
  begin_round();
  pthread_kill(late.thread, signal);
  while (slot_of(late.tid) == nullptr) sched_yield();
  say("late parks next time", has_own_stack(slot_of(late.tid), late));
  return 0;
}
`;

describe('a thread that is held up while it parks', () => {
  it(
    'is not taken for parked in the next round, and leaves what others say there as it is',
    inRuntimeSession(async (session) => {
      notUnderSanitizers('the program holds a thread in a handler of SIGSEGV');
      assert.deepEqual(await runWithInternals(session, source), [
        'other parked yes',
        'late counts as parked no',
        'other still parked yes',
        'late parks next time yes',
      ]);
    }),
  );
});
