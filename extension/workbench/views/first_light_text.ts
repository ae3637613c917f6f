// What the status bar and the history say of a save whose edited functions were live ahead of their file. Pure.
import { durationText } from '../../engine/model/text';
import type { Finished } from '../state/state';

export function confirmingText(live: number): string {
  return `live in ${durationText(live)} · confirming`;
}

/** Follows the time after which they were live; empty where nothing was live ahead. */
export function confirmedText(confirmed: Finished['confirmed']): string {
  if (!confirmed) return '';
  const what = confirmed.outcome === 'replaced' ? 'exact code' : confirmed.outcome;
  return ` · ${what} after ${durationText(confirmed.milliseconds)}`;
}
