// What the debug information of a unit says about its types, variables and functions, as data: walk.ts reads it,
// registry.ts puts it together. `type` and `types` are addresses of entries in the debug information.
import type { UnitHeader } from '../dwarf/unit_headers';

export interface RawMember {
  name: string | undefined;
  type: number;
  /** In bits from the start of the type that declares it. */
  offset: number;
  /** Width of a bit-field, 0 for an ordinary member. */
  bits: number;
  /** DW_AT_alignment (alignas), 0 when its type's own. */
  alignment: number;
  line: number;
}

export interface RawBase {
  type: number;
  /** Offset in bytes, or the expression that finds a virtual base. */
  location: string;
}

/** Members of a class that make copies of it more, or less, than copies of its bytes. */
export interface SpecialMembers {
  /** The compiler says how its values are passed (DW_AT_calling_convention). */
  passing: 'address' | 'bytes' | undefined;
  /** It has a destructor that somebody wrote. */
  destructor: boolean;
  /** Its constructors from another object of it, by copy or by move; `perhaps` with more parameters, of which debug
   * information does not say whether they have default arguments. */
  copies: ('written' | 'defaulted' | 'deleted' | 'perhaps')[];
  /** It has an assignment by move, which leaves it without the constructors that it does not declare. */
  moveAssignment: boolean;
}

export interface VirtualFunction {
  symbol: string;
  name: string;
  slot: number;
  /** What it returns, which its symbol does not say; undefined: nothing. */
  returns: number | undefined;
  line: number;
}

/** A class, structure, union or enumeration. */
export interface TypeEntry {
  address: number;
  kind: 'struct' | 'union' | 'enum';
  /** As a person would call it: `struct`, `class`, `union` or `enum`. */
  keyword: string;
  /** Qualified name; undefined for unnamed types that no typedef names. */
  name: string | undefined;
  /** The name is that of a typedef; its own it has none. */
  byTypedef: boolean;
  /** Local to a function body, or a closure, or made of such types: compared only where state has that type. */
  local: boolean;
  declaration: boolean;
  size: number;
  /** DW_AT_alignment (alignas), 0 when the type's own. */
  alignment: number;
  unit: UnitHeader;
  file: number;
  line: number;
  /** Underlying type of an enumeration, or undefined. */
  underlying: number | undefined;
  encoding: number;
  rawMembers: RawMember[];
  bases: RawBase[];
  /** What it declares of that which decides how its values are passed (special_members.ts). */
  special: SpecialMembers;
  /** Virtual functions that the class declares, with their slot in the vtable. */
  virtuals: VirtualFunction[];
  enumerators: { name: string; value: string; line: number }[];
  /** Another definition of the same name in the same unit (allowed only when it is the same type). */
  twin: TypeEntry | undefined;
  flat: Member[] | undefined;
}

/** A data member with those of unnamed members in its place, so that `u.x` of `struct { union { int x; }; }` is `x`. */
export interface Member {
  name: string;
  /** In bits from the start of the outermost type. */
  offset: number;
  bits: number;
  /** Equal in two units exactly when the types are the same to the code that accesses the member. */
  key: string;
  type: number;
  line: number;
}

export interface TypedefEntry {
  type: number;
  unit: UnitHeader;
  file: number;
  line: number;
  /** Another typedef of that name: instances of one alias template do not say their arguments. */
  twin: TypedefEntry | undefined;
}

/** A variable that exists, or is declared to exist, in memory. */
export interface VariableEntry {
  /** For people: qualified, function-local ones with their function. */
  name: string;
  symbol: string | undefined;
  type: number;
  /** The unit gives it memory; otherwise it is only declared here. */
  defined: boolean;
  /** Visible to other units. */
  external: boolean;
  unit: UnitHeader;
  file: number;
  line: number;
}

/** Addresses of the types that a function takes and returns. */
export interface FunctionEntry {
  /** Undefined: void. */
  returns: number | undefined;
  parameters: number[];
  variadic: boolean;
  /** Number of a calling convention that an attribute gives it (DWARF 5, 3.3.1.1); only clang says so. */
  convention: number | undefined;
  /** How many of them have a place of their own in the frame, as long as the function runs. */
  homes: number;
}

/** A function with code: where its types are, and by what name the linker knows it. */
export interface CodeEntry {
  /** Address of the DIE that has the types: the function itself or its abstract instance. */
  types: number;
  symbol: string | undefined;
  name: string;
  address: number | undefined;
  section: number | undefined;
}

export interface Scope {
  /** What names inside are qualified with, `::` included. */
  prefix: string;
  kind: 'namespace' | 'type' | 'function';
  /** Inside a function body, or inside a type without a name. */
  local: boolean;
  /** The type whose members these are. */
  owner?: TypeEntry;
  /** The function whose parameters these are, and its name. */
  callee?: FunctionEntry;
  functionName?: string;
}
