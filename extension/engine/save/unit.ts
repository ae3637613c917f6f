// The data of a save, as one step hands it to the next: fresh units, what is planned for each module of each process,
// and the patch files that come of it. Imports none of the steps.
import type { ClosureShapes } from '../compare/closures';
import type { DeclaredIn } from '../compare/start_code';
import type { ComparedFunction } from '../compare/facts';
import type { CompiledUnit, LiveModule, LiveTarget } from '../context';
import type { FunctionStatic } from '../dwarf/function_statics';
import type { FunctionPlace } from '../dwarf/functions';
import type { Producer } from '../dwarf/producer';
import type { ObjectFile, ObjectFunction } from '../elf/object';
import type { AddedLibrary } from '../link/imports';
import type { PlannedFix } from '../link/input';
import type { Link } from '../link/link';
import type { SelectedUnit } from '../link/select';
import type { LiveProcess } from '../live/module_image';
import type { Problem } from '../model/result';
import type { Guard } from '../patch_format/note';
import type { LayoutComparison } from '../types/layout';

/** A unit, compiled and read. */
export interface FreshUnit {
  compiled: CompiledUnit;
  object: ObjectFile;
  /** Where its functions are declared; read when the first message needs it. */
  places: () => Map<string, FunctionPlace>;
  /** The same for its variables. */
  variables: () => Map<string, FunctionPlace>;
  /** Static variables of its functions, as its debug information declares them. */
  statics: () => readonly FunctionStatic[];
  /** All its variables, by nameIn, and how each is made of what lies at its place. */
  defined: () => ReadonlyMap<string, string>;
  /** The files that a function's code was written in, its own first; none when the compiler did not say. */
  writtenIn: (fn: ObjectFunction) => string[];
  /** The variables whose declarations a function has code for; undefined when the compiler did not say. */
  declaredIn: DeclaredIn;
  /** Its lambdas; undefined when the compiler did not say. */
  closures: () => ClosureShapes;
  producer: () => Producer | undefined;
  /** What it was compiled from, where that is not, or not yet, what its source says. */
  text?: string;
  /** Of a reduced unit: may a function be patched or reverted? */
  isWanted?: (fn: ObjectFunction) => boolean;
  /** Of a reduced unit: does a function only come along with those that were edited? */
  isCompanion?: (fn: ObjectFunction) => boolean;
}

export interface UnitPlan extends SelectedUnit {
  fixes: PlannedFix[];
  /** Code that must not be running when the fixes are applied. */
  guards: Guard[];
  /** How the functions are called, where callers may count on what a callee did not need; else undefined. */
  conventions: LayoutComparison['conventions'] | undefined;
  /** Whether callers may keep values in registers that a callee did not use. */
  mayUseIpaRa: boolean;
  /** Entries that go back to the original. */
  reverts: ComparedFunction[];
  problems: Problem[];
  warnings: Problem[];
  /** Of the warnings, those of the code that initialises its variables at start. */
  startWarnings: readonly Problem[];
}

/** Does the plan need a patch file? */
export function isLinked({ fixes, start, roles }: UnitPlan): boolean {
  return fixes.length > 0 || start.length > 0 || [...roles.values()].includes('at-start');
}

/** What the runtime is to make anew, in one process. */
export interface Migration {
  types: { name: string; layout: string; before: number; after: number }[];
  /** The entry of the program's function; undefined when the patch brings it. */
  migrator: number | undefined;
  /** Code of the old text that must not be active. */
  quiet: OldCode[];
  /** Code of which nobody may hold an address. */
  unreferenced: OldCode[];
}

export interface OldCode {
  name: string;
  start: number;
  length: number;
}

/** What a save does to one module of one process. */
export interface ModulePlan {
  target: LiveTarget;
  module: LiveModule;
  /** All modules of the process, as it was compared. */
  modules: readonly LiveModule[];
  live: LiveProcess;
  /** All units of the module that the save concerns. */
  concerned: readonly FreshUnit[];
  /** Address ranges of all patches the process ever had: one whose code was unmapped may be gone back to. */
  occupied: { start: number; end: number }[];
  units: UnitPlan[];
  /** Objects that are made anew with it. */
  migration?: Migration;
}

export interface PatchFile {
  plan: ModulePlan;
  /** Undefined when only reverts are to be made. */
  linked: Linked | undefined;
  reverts: number[];
}

/** A link and what it made for one place; for another it is written again. */
export interface Linked {
  link: Link;
  /** Throws HotPatchError verify-failed. */
  verify: (bytes: Buffer) => void;
  start: number;
  bytes: Buffer;
  /** What the runtime loads with it. */
  libraries: readonly AddedLibrary[];
}
