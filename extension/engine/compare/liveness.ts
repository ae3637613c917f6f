// Which registers are live behind the calls of a function: what is needed to know whether a caller counts on a callee leaving
// caller-saved registers alone (gcc -fipa-ra). Pure; what instructions read and write is the architecture's to say.
import type { RegisterEffects, RegisterSet, RegisterUse } from '../arch/architecture';

/**
 * Registers that are live right behind each call: read on some path before they are written. By offset of the call.
 * Errs on the side of live: a call may read every argument register, a return every result register, and an indirect
 * jump may go to any instruction that a branch leads to or that follows a jump.
 * @param registers those that calls and returns use
 * @param clobbered what a call certainly overwrites
 */
export function liveBehindCalls(
  effects: readonly RegisterEffects[],
  registers: RegisterUse['registers'],
  clobbered: (call: RegisterEffects) => RegisterSet,
): Map<number, RegisterSet> {
  const index = new Map(effects.map((effect, i) => [effect.offset, i]));
  const leaders = new Set<number>();
  effects.forEach(({ flow, target }, i) => {
    if (flow === 'branch' || flow === 'jump') {
      const to = index.get(target);
      if (to !== undefined) leaders.add(to);
    }
    if (flow === 'jump' || flow === 'indirect-jump' || flow === 'return') leaders.add(i + 1);
  });
  const liveIn = new Int32Array(effects.length + 1);
  const liveOut = (i: number): number => {
    const { flow, target } = effects[i]!;
    const to = index.get(target);
    switch (flow) {
      case 'return':
        return registers.results;
      case 'jump':
        // Leaving the function by a jump is a call in tail position.
        return to === undefined ? registers.arguments : liveIn[to]!;
      case 'branch':
        return (to === undefined ? registers.arguments : liveIn[to]!) | liveIn[i + 1]!;
      case 'indirect-jump':
        return [...leaders].reduce((union, leader) => union | liveIn[leader]!, 0);
      default:
        return liveIn[i + 1]!;
    }
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let i = effects.length - 1; i >= 0; i--) {
      const effect = effects[i]!;
      const calls = effect.flow === 'call' || effect.flow === 'indirect-call';
      const writes = effect.writes | (calls ? clobbered(effect) : 0);
      const live = effect.reads | (calls ? registers.arguments : 0) | (liveOut(i) & ~writes);
      if (live !== liveIn[i]) {
        liveIn[i] = live;
        changed = true;
      }
    }
  }
  const behind = new Map<number, number>();
  effects.forEach(({ flow, offset }, i) => {
    if (flow === 'call' || flow === 'indirect-call') behind.set(offset, liveIn[i + 1]!);
  });
  return behind;
}
