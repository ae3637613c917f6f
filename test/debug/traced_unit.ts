// The unit that is patched while a debugger traces its process: one function that the edit changes, a caller that it
// does not, locals in both; and what a test has to know about the process.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { PatchableProcess, PatchedFunction, PatchResult } from '../../extension/engine/model/result';
import { controlDirectory } from '../support/memory';
import { Unit, type Session, type UnitOptions } from '../support/session';
import { until } from '../support/until';

const source = `
struct Box { int size; long content; };
static long calls;
__attribute__((noinline)) static long scaled(const Box &box, long n) {
  long factor = 3;
  long sum = box.content * factor + n;
  calls++;
  return sum;
}
__attribute__((noinline)) long unpatched(long n) {
  Box box{1, n};
  long result = scaled(box, n);
  return result + 1;
}
long value(long n) { return unpatched(n) - 1; }
`;

/** A function whose second line begins at its fifth byte when it is not optimised: `push %rbp; mov %rsp,%rbp`. */
export const shortPrologue = `
static long calls;
__attribute__((noinline)) static long next() {
  return calls += 3;
}
long value(long) { return next(); }
`;

/** Optimised, `step` is a part of `value`, with no variable of its own that could be read. */
const inlined = `
__attribute__((noinline)) static long twice(long n) { return n * 2; }
static long step(long n, long unused) {
  long doubled = n * 2;
  long sum = n + doubled;
  sum += 1;
  return sum;
}
long value(long n) {
  long before = twice(n);
  return step(before, 7) + n;
}
`;

/** A unit at -O2, of which `step` was taken out of the optimisation while it runs. */
export async function startDeoptimised(session: Session, compiler: string): Promise<Unit> {
  const unit = await Unit.start(session, inlined, { flags: ['-O2', '-g'], compiler });
  assert.equal(await unit.value(2), 15);
  const { status, stderr } = await session.hotPatch('deoptimize', 'step', unit.file);
  assert.equal(status, 0, stderr);
  return unit;
}

/** value(100) has a thread load a library whose constructor waits for value(101), and that thread has the loader's lock
 * meanwhile. */
const loading = `
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
static int go[2], begun[2];
static void *load(void *unused) {
  dlopen("./slow.so", RTLD_NOW);
  return unused;
}
__attribute__((noinline)) static long edited(long n) { return n * 2; }
long value(long n) {
  char byte = 0;
  pthread_t thread;
  if (n == 100) {
    if (pipe(go) || pipe(begun) || dup2(go[0], 100) < 0 || dup2(begun[1], 101) < 0) return -1;
    pthread_create(&thread, nullptr, load, nullptr);
    return read(begun[0], &byte, 1);
  }
  return n == 101 ? write(go[1], "x", 1) : edited(n);
}
`;
const slow = `
#include <unistd.h>
__attribute__((constructor)) static void wait_for_byte(void) {
  char byte = 0;
  if (write(101, "x", 1) == 1 && read(100, &byte, 1) == 1) return;
}
`;

/** A unit in a program of which a thread has the loader's lock. A save of it needs that lock. */
export async function startLoading(session: Session): Promise<{ unit: Unit; edit: () => void }> {
  session.write('slow.c', slow);
  await session.run('gcc', ['-shared', '-fPIC', 'slow.c', '-o', 'slow.so']);
  const unit = await Unit.start(session, loading, { linkFlags: ['-pthread', '-ldl'] });
  await session.patch(unit.file, 'unchanged'); // its runtime is there
  assert.equal(await unit.value(100), 1);
  return { unit, edit: () => void session.edit(unit.file, 'n * 2', 'n * 3 + (getppid() == 0)') };
}

/** The unit in a running program. */
export async function start(session: Session, options: UnitOptions): Promise<Unit> {
  const unit = await Unit.start(session, source, options);
  assert.equal(await unit.value(2), 8);
  return unit;
}

/** The signal at which the runtime of the unit's process is rung for. */
export async function runtimeSignal({ session, program }: Unit): Promise<number> {
  const isReady = ({ pid, runtime }: PatchableProcess) => pid === program.pid && runtime !== undefined;
  const running = await until(
    async () => JSON.parse((await session.hotPatch('ps', '--json')).stdout) as PatchableProcess[],
    (processes) => processes.some(isReady),
  );
  return running.find(isReady)!.runtime!.signal;
}

/** Where the one function is entered that a save has patched. */
export function entryOf({ processes }: PatchResult): string {
  const [{ address }] = processes[0]!.functions as [PatchedFunction];
  return address;
}

/** Resolves when the request of a save lies in the control directory: it is taken from there when the process runs.
 * Throws when the save ends before: nobody is stopped for it then. */
export async function requestWaits(unit: Unit, save: Promise<unknown>): Promise<void> {
  await Promise.race([requestLies(unit), save.then(() => assert.fail('the save has not waited'))]);
}

async function requestLies({ session, program }: Unit): Promise<void> {
  const requests = join(controlDirectory(session.path('run'), program.pid)!, 'requests');
  // What happens between a look and the wait for the next change must not be missed: nothing is awaited there.
  const changes = watch(requests);
  while (!readdirSync(requests).some((name) => !name.startsWith('.'))) await once(changes, 'change');
  changes.close();
}
