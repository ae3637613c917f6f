// The unit that is patched while a debugger traces its process: one function that the edit changes, a caller that it
// does not, locals in both; and what a test has to know about the process.
import { strict as assert } from 'node:assert';
import { readdir, watch } from 'node:fs/promises';
import { join } from 'node:path';
import type { PatchedFunction, PatchResult } from '../../extension/engine/model/result';
import { controlDirectory } from '../support/memory';
import { Unit, type Session, type UnitOptions } from '../support/session';

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

/** The unit in a running program. */
export async function start(session: Session, options: UnitOptions): Promise<Unit> {
  const unit = await Unit.start(session, source, options);
  assert.equal(await unit.value(2), 8);
  return unit;
}

/** The signal at which the runtime of the unit's process is rung for. */
export async function runtimeSignal({ session, program }: Unit): Promise<number> {
  const running = JSON.parse((await session.hotPatch('ps', '--json')).stdout) as {
    pid: number;
    runtime?: { signal: number };
  }[];
  return running.find(({ pid }) => pid === program.pid)!.runtime!.signal;
}

/** Where the one function is entered that a save has patched. */
export function entryOf({ processes }: PatchResult): string {
  const [{ address }] = processes[0]!.functions as [PatchedFunction];
  return address;
}

/** Resolves when the engine's request lies in the control directory: it is taken from there when the process runs. */
export async function requestWaits({ session, program }: Unit): Promise<void> {
  const requests = join(controlDirectory(session.path('run'), program.pid)!, 'requests');
  const changes = watch(requests)[Symbol.asyncIterator]();
  while (!(await readdir(requests)).some((name) => !name.startsWith('.'))) await changes.next();
  await changes.return?.();
}
