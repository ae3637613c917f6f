// Where the arguments of a call still are while its function runs: follows the code from the entry along all branches, and
// what registers and words of the stack hold of the argument registers as they were at the entry. A proof by the code
// alone: debug information says where a variable is, and not whether it was assigned to. Addresses of words of the stack
// that the code forms may be written through; a function that writes beyond its own variables is not considered.
import type { CodePiece, EntryValue, EntryValues, PlaceInCall } from '../architecture';
import {
  FIRST_VECTOR,
  FRAME_POINTER,
  readSteps,
  STACK_POINTER,
  type Operand,
  type Step,
} from './frame_steps';
import { registers } from './registers';

/** rdi rsi rdx rcx r8 r9, in the order of the encoding. */
const INTEGERS = [7, 6, 2, 1, 8, 9];
const VECTORS = 8;
/** By the order of the encoding: psABI, figure 3.36. */
const DWARF = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
/** A function with more is not followed. */
const MOST_STEPS = 20_000;

/** The low bytes of an argument register, or an address as a distance from the stack pointer at the entry. */
type Value = { argument: number; bytes: number } | { stack: number } | undefined;

interface State {
  registers: Value[];
  /** By distance from the stack pointer at the entry. */
  slots: Map<number, { argument: number; bytes: number }>;
}

export function entryValues(
  pieces: readonly CodePiece[],
  { inside, isBehindCall, hasHomes }: PlaceInCall,
): EntryValues | undefined {
  const steps = pieces.flatMap(readSteps);
  const index = new Map(steps.map(({ address }, i) => [address, i]));
  const landings = pieces.flatMap(({ landingPads }) => landingPads.flatMap((pad) => index.get(pad) ?? []));
  // Where a switch goes on is in a table.
  if (steps.length > MOST_STEPS || steps.some(({ flow }) => flow === 'indirect-jump')) return undefined;
  const unsafe = new Unsafe(hasHomes);
  let before: (State | undefined)[];
  let known: number;
  // What is read of a word before its address is formed elsewhere may have been written, in a loop.
  do {
    known = unsafe.escaped.size;
    before = follow(steps, index, landings, unsafe);
  } while (unsafe.escaped.size > known);
  const at = steps.findIndex(({ address, length }) => address <= inside && inside < address + length);
  const state = before[at];
  const step = steps[at];
  if (!state || !step || isBehindCall !== (step.flow === 'call')) return undefined;
  const now = copy(state);
  if (isBehindCall) apply(step, now, unsafe);
  else if (step.isRepeated) for (const register of step.writes) now.registers[register] = undefined;
  return collect(now, unsafe);
}

/** Words of the stack that may be written through an address. One may be shared by what is not alive at the same time: then it
 * may be a part of any variable that begins below it and whose address is known to others. */
class Unsafe {
  readonly escaped = new Set<number>();

  constructor(private readonly hasHomes: boolean) {}

  has(offset: number, bytes: number): boolean {
    for (const address of this.escaped)
      if (address < offset + bytes && (!this.hasHomes || address > offset - 8)) return true;
    return false;
  }
}

/** The state before each step; undefined where nothing leads. */
function follow(
  steps: readonly Step[],
  index: ReadonlyMap<number, number>,
  landings: readonly number[],
  unsafe: Unsafe,
): (State | undefined)[] {
  const before: (State | undefined)[] = steps.map(() => undefined);
  const pending: number[] = [0];
  before[0] = atEntry();
  const flowTo = (i: number | undefined, state: State): void => {
    if (i === undefined || i >= steps.length) return;
    const known = before[i];
    if (!known) before[i] = copy(state);
    else if (!meet(known, state)) return;
    pending.push(i);
  };
  for (let i = pending.pop(); i !== undefined; i = pending.pop()) {
    const step = steps[i]!;
    const state = copy(before[i]!);
    apply(step, state, unsafe);
    const follows = steps[i + 1]?.address === step.address + step.length ? i + 1 : undefined;
    if (step.flow === 'next' || step.flow === 'branch' || step.flow === 'call') flowTo(follows, state);
    if (step.flow === 'branch' || step.flow === 'jump') flowTo(index.get(step.target), state);
    if (step.flow === 'call') for (const landing of landings) flowTo(landing, state);
  }
  return before;
}

function atEntry(): State {
  const state: State = { registers: Array<Value>(32).fill(undefined), slots: new Map() };
  INTEGERS.forEach((register, argument) => (state.registers[register] = { argument, bytes: 8 }));
  for (let i = 0; i < VECTORS; i++)
    state.registers[FIRST_VECTOR + i] = { argument: INTEGERS.length + i, bytes: 8 };
  state.registers[STACK_POINTER] = { stack: 0 };
  return state;
}

function copy({ registers: known, slots }: State): State {
  return { registers: [...known], slots: new Map(slots) };
}

/** What both states have; false when that is all that the first one had. */
function meet(known: State, other: State): boolean {
  let changed = false;
  known.registers.forEach((value, i) => {
    const joined = common(value, other.registers[i]);
    if (isSame(joined, value)) return;
    known.registers[i] = joined;
    changed = true;
  });
  for (const [offset, value] of known.slots) {
    const joined = common(value, other.slots.get(offset));
    if (isSame(joined, value)) continue;
    if (joined && 'argument' in joined) known.slots.set(offset, joined);
    else known.slots.delete(offset);
    changed = true;
  }
  return changed;
}

function common(a: Value, b: Value): Value {
  if (!a || !b) return undefined;
  if ('stack' in a) return 'stack' in b && a.stack === b.stack ? a : undefined;
  if ('stack' in b || a.argument !== b.argument) return undefined;
  return a.bytes <= b.bytes ? a : b;
}

function isSame(a: Value, b: Value): boolean {
  if (!a || !b) return a === b;
  if ('stack' in a) return 'stack' in b && a.stack === b.stack;
  return 'argument' in b && a.argument === b.argument && a.bytes === b.bytes;
}

function stackOf(state: State, register: number | undefined): number | undefined {
  const value = register === undefined ? undefined : state.registers[register];
  return value && 'stack' in value ? value.stack : undefined;
}

function apply(step: Step, state: State, unsafe: Unsafe): void {
  const { action } = step;
  const pointer = stackOf(state, STACK_POINTER);
  // What is put in a register is read before the register is lost.
  const moved = action.kind === 'move' ? read(action.from, state, unsafe) : undefined;
  const pushed =
    action.kind === 'push' && action.from !== undefined ? state.registers[action.from] : undefined;
  const popped = action.kind === 'pop' && pointer !== undefined ? slotAt(state, pointer, unsafe) : undefined;
  const frame = stackOf(state, FRAME_POINTER);
  const base = action.kind === 'address' ? stackOf(state, action.base) : undefined;
  const adjusted = action.kind === 'adjust' ? stackOf(state, action.to) : undefined;
  for (const { base: of, displacement, bytes } of step.stores) {
    const start = stackOf(state, of);
    if (start !== undefined) forget(state, start + displacement, bytes);
  }
  for (const register of step.writes) state.registers[register] = undefined;
  const setPointer = (offset: number | undefined): void => {
    state.registers[STACK_POINTER] = offset === undefined ? undefined : { stack: offset };
  };
  switch (action.kind) {
    case 'push':
      setPointer(pointer === undefined ? undefined : pointer - 8);
      if (pointer === undefined) break;
      forget(state, pointer - 8, 8);
      if (pushed && 'argument' in pushed) state.slots.set(pointer - 8, pushed);
      break;
    case 'pop':
      if (action.to !== undefined) state.registers[action.to] = popped;
      if (action.to !== STACK_POINTER) setPointer(pointer === undefined ? undefined : pointer + 8);
      break;
    case 'move':
      write(action.to, moved, state);
      if (action.to.register !== undefined) escape(action.to.register, state, unsafe);
      else if (moved && 'stack' in moved) unsafe.escaped.add(moved.stack);
      break;
    case 'address':
      if (base === undefined) break;
      state.registers[action.to] = { stack: base + action.displacement };
      escape(action.to, state, unsafe);
      break;
    case 'adjust':
      if (adjusted === undefined) break;
      state.registers[action.to] = { stack: adjusted + action.by };
      escape(action.to, state, unsafe);
      break;
    case 'leave':
      setPointer(frame === undefined ? undefined : frame + 8);
      break;
    case 'other':
      break;
  }
  if (step.flow !== 'call') return;
  for (let i = 0; i < 32; i++) if ((registers.callerSaved >>> i) & 1) state.registers[i] = undefined;
  setPointer(pointer);
  // The callee's frame.
  if (pointer !== undefined)
    for (const offset of state.slots.keys()) if (offset < pointer) state.slots.delete(offset);
}

/** Through an address of the stack that is in a register, other than that of the frame, what is there may be written. */
function escape(register: number, state: State, unsafe: Unsafe): void {
  const address = stackOf(state, register);
  if (address !== undefined && register !== STACK_POINTER && register !== FRAME_POINTER)
    unsafe.escaped.add(address);
}

function forget(state: State, start: number, bytes: number): void {
  for (const [offset, value] of state.slots)
    if (offset < start + bytes && start < offset + value.bytes) state.slots.delete(offset);
}

function slotAt(
  state: State,
  offset: number,
  unsafe: Unsafe,
): { argument: number; bytes: number } | undefined {
  const slot = state.slots.get(offset);
  return slot && !unsafe.has(offset, slot.bytes) ? slot : undefined;
}

function read({ register, memory, bytes }: Operand, state: State, unsafe: Unsafe): Value {
  if (register !== undefined) {
    const value = state.registers[register];
    if (!value || 'stack' in value) return bytes === 8 ? value : undefined;
    return { argument: value.argument, bytes: Math.min(value.bytes, bytes) };
  }
  const base = stackOf(state, memory?.base);
  const slot = base === undefined ? undefined : slotAt(state, base + memory!.displacement, unsafe);
  return slot && { argument: slot.argument, bytes: Math.min(slot.bytes, bytes) };
}

function write({ register, memory, bytes }: Operand, value: Value, state: State): void {
  if (register !== undefined) {
    state.registers[register] = value;
    return;
  }
  const base = stackOf(state, memory?.base);
  if (base === undefined || !value || 'stack' in value) return;
  state.slots.set(base + memory!.displacement, {
    argument: value.argument,
    bytes: Math.min(value.bytes, bytes),
  });
}

/** The widest place of each argument register. */
function collect({ registers: known, slots }: State, unsafe: Unsafe): EntryValues {
  const found: (EntryValue | undefined)[] = Array<EntryValue | undefined>(INTEGERS.length + VECTORS).fill(
    undefined,
  );
  const offer = (argument: number, value: EntryValue): void => {
    if ((found[argument]?.bytes ?? 0) < value.bytes) found[argument] = value;
  };
  for (const [offset, { argument, bytes }] of slots)
    if (!unsafe.has(offset, bytes)) offer(argument, { place: 'stack', offset, bytes });
  known.forEach((value, i) => {
    if (!value || !('argument' in value)) return;
    const { argument, bytes } = value;
    if (i < FIRST_VECTOR) offer(argument, { place: 'register', number: DWARF[i]!, bytes });
    else offer(argument, { place: 'vector', number: i - FIRST_VECTOR, bytes });
  });
  return { integers: found.slice(0, INTEGERS.length), vectors: found.slice(INTEGERS.length) };
}
