// The values of the context keys for a state. Pure; context_keys.ts sets them.
import { ContextKey, type WelcomeState } from '../contributions';
import { patchedFunctions, pendingOf, targetsOf, unpreparedOf } from '../state/queries';
import type { State } from '../state/state';

export function contextOf(state: State): Record<ContextKey, string | boolean> {
  return {
    [ContextKey.welcome]: welcomeOf(state),
    [ContextKey.hasProcess]: (state.processes ?? []).length > 0,
    [ContextKey.hasPatches]: patchedFunctions(state).some((running) => running.function.version > 0),
    [ContextKey.fileIsLive]: state.activeFile !== undefined && isLive(state, state.activeFile),
    [ContextKey.hasPending]: pendingOf(state).length > 0,
    [ContextKey.hasHistory]: state.history.length > 0,
    [ContextKey.hasCrash]: state.crash !== undefined,
    [ContextKey.hasHeld]: state.held.length > 0,
    [ContextKey.hasOperation]: state.operation !== undefined,
  };
}

function isLive(state: State, file: string): boolean {
  return targetsOf(state, file).length > 0 || unpreparedOf(state, [file]).length > 0;
}

/** What stands between the user and the first patch. */
function welcomeOf(state: State): WelcomeState {
  if (!state.environment.platform) return 'platform';
  if (!state.environment.trusted) return 'untrusted';
  if (state.processes === undefined || state.processes.length + state.unprepared.length > 0) return 'none';
  return state.environment.database === false ? 'database' : 'process';
}
