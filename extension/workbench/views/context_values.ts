// The values of the context keys for a state. Pure; context_keys.ts sets them.
import { ContextKey, type WelcomeState } from '../contributions';
import { patchedFunctions, targetsOf } from '../state/queries';
import type { State } from '../state/state';

export function contextOf(state: State): Record<ContextKey, string | boolean> {
  return {
    [ContextKey.welcome]: welcomeOf(state),
    [ContextKey.hasProcess]: (state.processes ?? []).length > 0,
    [ContextKey.hasPatches]: patchedFunctions(state).some((running) => running.function.version > 0),
    [ContextKey.fileIsLive]: state.activeFile !== undefined && targetsOf(state, state.activeFile).length > 0,
    [ContextKey.hasHistory]: state.history.length > 0,
    [ContextKey.hasOperation]: state.operation !== undefined,
  };
}

/** What stands between the user and the first patch. */
function welcomeOf(state: State): WelcomeState {
  if (!state.environment.platform) return 'platform';
  if (!state.environment.trusted) return 'untrusted';
  if (state.processes === undefined || state.processes.length > 0) return 'none';
  const matching = state.activeFile === undefined ? [] : (state.matches.get(state.activeFile) ?? []);
  if (matching.some((process) => process.state === 'no-runtime')) return 'runtime';
  return state.environment.database === false ? 'database' : 'process';
}
