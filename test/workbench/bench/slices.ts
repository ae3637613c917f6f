// From a CPU profile of the extension host's thread: for how long it was held by the extension without a pause. A
// slice is a run of samples whose stack has the extension's bundle in it, with the garbage collections in between.
// Wall-clock time: what other programs took from the thread meanwhile is in it. Pure.
import type { Profiler } from 'node:inspector';

/** Milliseconds of each slice, in the order in which they came. */
export function slicesOf(profile: Profiler.Profile, isOurs: (url: string) => boolean): number[] {
  const ours = new Set<number>();
  const collections = new Set<number>();
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const visit = (id: number, inherited: boolean): void => {
    const { callFrame, children = [] } = nodes.get(id)!;
    const within = inherited || isOurs(callFrame.url);
    if (within) ours.add(id);
    if (callFrame.functionName === '(garbage collector)') collections.add(id);
    for (const child of children) visit(child, within);
  };
  visit(profile.nodes[0]!.id, false);

  const slices: number[] = [];
  let time = profile.startTime;
  let begin: number | undefined;
  /** When the last sample that was ours had ended. */
  let end = 0;
  const finish = (): void => {
    if (begin !== undefined) slices.push((end - begin) / 1000);
    begin = undefined;
  };
  const { samples = [], timeDeltas = [] } = profile;
  samples.forEach((sample, index) => {
    time += timeDeltas[index]!;
    const until = time + (timeDeltas[index + 1] ?? 0);
    if (ours.has(sample)) {
      begin ??= time;
      end = until;
    } else if (!collections.has(sample)) finish();
  });
  finish();
  return slices;
}
