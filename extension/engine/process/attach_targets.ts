// Which processes a save attaches to: those that were built from its files and have no runtime, as its target says.
// Decides; the attacher does it.
import type { Target } from '../engine';
import { HotPatchError } from '../model/errors';
import type { AttachResult, PatchableProcess } from '../model/result';
import type { Attacher } from './attach';
import { isOneFamily, type Discovery } from './discovery';

/** The processes to attach to. Pure.
 * Throws HotPatchError several-processes when the target means one and they are not of one program instance. */
function chooseUnprepared(
  unprepared: readonly PatchableProcess[],
  target: Target,
  parentOf: (pid: number) => number | undefined,
): readonly PatchableProcess[] {
  if (target.kind === 'pid') return unprepared.filter(({ pid }) => target.pids.includes(pid));
  if (target.kind === 'all' || isOneFamily(unprepared, parentOf)) return unprepared;
  const list = unprepared.map(({ pid, commandLine, exe }) => `${pid} (${commandLine.join(' ') || exe})`);
  throw new HotPatchError(
    'several-processes',
    `${unprepared.length} running processes could be attached to: ${list.join(', ')}`,
  );
}

/** Attaches to all of them. Throws the first refusal as HotPatchError; those attached to by then stay ready. */
export async function attachTo(
  files: readonly string[],
  target: Target,
  list: () => Promise<readonly PatchableProcess[]>,
  discovery: Pick<Discovery, 'matching'>,
  attacher: Attacher,
): Promise<AttachResult[]> {
  const processes = await list();
  const found = new Map<number, PatchableProcess>();
  if (target.kind === 'pid') {
    // A process that was named is meant, whatever speaks for it; the debug information of all others is not looked at.
    for (const process of processes)
      if (target.pids.includes(process.pid) && process.state === 'no-runtime')
        found.set(process.pid, process);
  } else {
    for (const file of files)
      for (const { process } of await discovery.matching(file))
        if (process.state === 'no-runtime') found.set(process.pid, process);
  }
  const parents = new Map(processes.map(({ pid, parentPid }) => [pid, parentPid]));
  const chosen = chooseUnprepared([...found.values()], target, (pid) => parents.get(pid));
  const results: AttachResult[] = [];
  for (const process of chosen) {
    const result = await attacher.attach(process);
    if (result.problem) throw new HotPatchError(result.problem.code, result.problem.message, result.problem);
    results.push(result);
  }
  return results;
}
