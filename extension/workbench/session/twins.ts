// What tells processes of one program apart beside their arguments: the ports that they listen on, and the name under
// which this window started them. Looked for only where two processes of a program have the same arguments, and again
// until something is found: a program opens its port some time after its start.
import { isDeepStrictEqual } from 'node:util';
import type { AsyncEngine } from '../engine_thread/client';
import type { PatchableProcess } from '../../engine/model/result';
import { processKey, type ProcessKey, type State, type Twin } from '../state/state';
import type { Store } from '../state/store';
import { twinsOf } from '../state/queries';
import type { Launches } from './launches';

const INTERVAL_MS = 2000;
export function watchTwins(
  store: Store,
  launches: Pick<Launches, 'of'>,
  engine: () => Pick<AsyncEngine, 'listeningPorts'>,
): { dispose(): void } {
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  let disposed = false;

  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    clearTimeout(timer);
    try {
      const alike = all(store.state).filter((process) => hasDouble(store.state, process));
      const twins = new Map<ProcessKey, Twin>();
      for (const process of alike) {
        const key = processKey(process);
        const launch = launches.of(key);
        const name = launch?.debugSession?.name ?? launch?.task?.task.name;
        const known = store.state.twins.get(key)?.ports ?? [];
        const ports = known.length > 0 ? known : await engine().listeningPorts(process.pid);
        twins.set(key, { ports, ...(name !== undefined && { name }) });
      }
      if (disposed) return;
      if (!isDeepStrictEqual(twins, store.state.twins)) store.dispatch({ type: 'twins', twins });
      if ([...twins.values()].some(({ ports }) => ports.length === 0))
        timer = setTimeout(() => void look(), INTERVAL_MS);
    } finally {
      looking = false;
    }
  }

  const subscription = store.subscribe((state, previous) => {
    if (state.processes !== previous.processes || state.unprepared !== previous.unprepared) void look();
  });
  return {
    dispose() {
      disposed = true;
      clearTimeout(timer);
      subscription.dispose();
    },
  };
}

function all({ processes = [], unprepared }: State): readonly PatchableProcess[] {
  return [...processes, ...unprepared];
}

function hasDouble(state: State, process: PatchableProcess): boolean {
  const isDouble = (twin: PatchableProcess) =>
    isDeepStrictEqual(twin.commandLine.slice(1), process.commandLine.slice(1));
  return twinsOf(state, process).some(isDouble);
}
