// What a link is made of, and how its parts ask where the others lie.
import type { Locate, ObjectFunction } from '../elf/object';
import type { LiveImage } from '../live/live_image';
import type { Fix, Guard } from '../patch_format/note';
import type { ImportResolver } from './imports';
import type { Selection } from './select';

/** A function to redirect; the linker fills in where its new version is. */
export type PlannedFix = Omit<Fix, 'target' | 'targetSize' | 'body'> & { fn: ObjectFunction };

/** Code that the runtime calls when the patch is loaded, or has called at exit. */
export interface PlannedObject {
  fn: ObjectFunction;
  when: 'start' | 'exit';
  /** Its entry in the process, when the patch has no code of it. */
  live: number | undefined;
  /** What it is for, to be shown when it fails. */
  name: string;
}

/** A function whose code is, or calls, one that is not optimised for debugging (patch_format/marks.ts). */
export interface MarkedCode {
  fn: ObjectFunction;
  /** That one. */
  symbol: string;
}

export interface LinkInput {
  selection: Selection;
  fixes: readonly PlannedFix[];
  guards: readonly Guard[];
  /** In the order in which they are called. */
  objects: readonly PlannedObject[];
  marks: readonly MarkedCode[];
  /** Functions of first light that nobody edited. */
  companions: readonly ObjectFunction[];
  live: LiveImage;
  modulePath: string;
  buildId: string | undefined;
  imports: ImportResolver;
  locate: Locate;
}

/** Address of a section of the patch, by its name; known once a base was chosen. */
export type AddressOf = (section: string) => number;
