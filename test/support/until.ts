// Waits for what no event tells of: asks again until the answer is the wanted one.
import { setTimeout } from 'node:timers/promises';

/** Long enough for a loaded machine; only reached when something is wrong. */
const patience = 60_000;

/** @returns the wanted answer. Fails with the last one. */
export async function until<T>(ask: () => Promise<T> | T, isWanted: (answer: T) => boolean): Promise<T> {
  for (const begin = performance.now(); ;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    if (performance.now() - begin > patience)
      throw new Error(`waited in vain; the last answer was ${JSON.stringify(answer)}`);
    await setTimeout(20);
  }
}
