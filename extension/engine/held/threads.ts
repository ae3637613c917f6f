// Threads that have crashed and are held: from the documents that the runtime keeps of them to frames and ways on. Asks the
// process nothing: a thread that is held does not move, and what was read of it stays true.
import { backtrace, describeFrames, openModules, STACK_POINTER, type FrameContext } from '../backtrace';
import { hostArchitecture } from '../arch/choose';
import type { HeldThread } from '../model/held';
import type { PatchableProcess } from '../model/result';
import { causeOf, readHeldDocuments, signalName, type HeldDocument } from '../process/crash_document';
import { readFrames } from './frames';
import { findWays, type FoundWays } from './ways';

/** A thread that is held, with what its ways on come to. */
export interface Held {
  readonly thread: HeldThread;
  readonly found: FoundWays;
}

/** What was worked out of the threads that are held in processes, by pid. */
export type KnownHeld = Map<number, readonly Held[]>;

/** The first that crashed first; none when the process has no runtime. Throws HotPatchError protocol-mismatch. */
export async function readHeldThreads(
  process: Pick<PatchableProcess, 'pid' | 'exe' | 'runtime'>,
  context: FrameContext,
  known: KnownHeld,
): Promise<readonly Held[]> {
  const { pid, runtime } = process;
  const before = known.get(pid) ?? [];
  const held: Held[] = [];
  for (const document of runtime ? readHeldDocuments(runtime.controlDirectory) : []) {
    const { id, at, tid } = document;
    const same = before.find(({ thread }) => thread.id === id && thread.at === at && thread.tid === tid);
    held.push(same ?? (await describeHeld(process, document, context)));
  }
  if (held.length > 0) known.set(pid, held);
  else known.delete(pid);
  return held;
}

async function describeHeld(
  { pid, exe }: Pick<PatchableProcess, 'pid' | 'exe'>,
  document: HeldDocument,
  context: FrameContext,
): Promise<Held> {
  const modules = openModules(document.mappings, context.log, context.debugDirectories);
  try {
    const frames = backtrace(document.registers, document.stack, modules.all);
    const described = await describeFrames(frames, modules.all, context);
    const known = readFrames(frames, described, modules.all, context.log);
    const found = findWays(document, known, {
      arch: hostArchitecture(),
      status: context.status,
      modules: modules.all,
    });
    return {
      thread: {
        pid,
        exe,
        tid: document.tid,
        thread: document.thread,
        id: document.id,
        at: document.at,
        signal: signalName(document.signal),
        cause: causeOf(document, Number(document.registers[STACK_POINTER] ?? 0n)),
        frames: described,
        ownFrame: found.ownFrame,
        ways: found.ways.map(({ way }) => way),
        refused: found.refused,
      },
      found,
    };
  } finally {
    modules.close();
  }
}
