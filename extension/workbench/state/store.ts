// Holds the one state and tells the views that it changed. Events go in, a state comes out; there is no other
// way to change it.
import type { Event } from './events';
import { reduce } from './reduce';
import { initialState, type State } from './state';

export type Listener = (state: State, previous: State) => void;

export class Store {
  private current = initialState;
  private readonly listeners = new Set<Listener>();

  /** @param failed is told what a listener threw */
  constructor(private readonly failed: (error: unknown) => void = () => undefined) {}

  get state(): State {
    return this.current;
  }

  dispatch(event: Event): void {
    const previous = this.current;
    this.current = reduce(previous, event);
    if (this.current === previous) return;
    for (const listener of [...this.listeners]) {
      try {
        listener(this.current, previous);
      } catch (error) {
        // A view that fails fails alone: the others, and whoever reported the event, go on.
        this.failed(error);
      }
    }
  }

  /** Calls the listener after every change, not at once. */
  subscribe(listener: Listener): { dispose(): void } {
    this.listeners.add(listener);
    return { dispose: () => void this.listeners.delete(listener) };
  }
}

/** Whether a view of these parts has something new to show. */
export function isChanged(state: State, previous: State, parts: readonly (keyof State)[]): boolean {
  return parts.some((part) => state[part] !== previous[part]);
}
