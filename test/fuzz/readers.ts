// The fuzzer of the readers, in a thread of its own: mutates each seed and reads all of it. Says before each input which
// one it is, so that the one that never ends is known to who ends this thread.
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { mutate, targets } from './mutate';
import { readEverything } from './read_everything';

interface Work {
  seeds: string[];
  first: number;
  last: number;
  /** [number of the input, count of those done] for the thread that watches. */
  progress: SharedArrayBuffer;
}

const { seeds, first, last, progress } = workerData as Work;
const now = new Int32Array(progress);
const known = seeds.map((path) => readFileSync(path));
const ranges = known.map(targets);
for (let number = first; number < last; number++) {
  Atomics.store(now, 0, number);
  const which = number % known.length;
  const found = readEverything(mutate(known[which]!, ranges[which]!, number));
  Atomics.add(now, 1, 1);
  if (found !== undefined) parentPort!.postMessage({ number, seed: seeds[which], found });
}
