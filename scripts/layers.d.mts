// Types of layers.mjs for the test that reads it.
export const ROOMS: readonly (readonly [name: string, files: RegExp, rooms: string[], packages: string[]])[];
export function roomOf(path: string): string | undefined;
export function objection(path: string, specifier: string): string | undefined;
