// How the stack is aligned at the calls that machine code makes. gcc -fipa-stack-alignment (on by default) leaves the
// alignment out where it knows that a callee needs none; the psABI (3.2.2) demands 16 bytes, which a function finds
// 8 short at its entry. Follows the stack pointer from the entry along all branches. Reads code, decides nothing.
import { type Instruction, Mnemonic, OpKind, Register } from 'iced-x86';
import type { StackAlignment } from '../architecture';
import { forEachInstruction, flowOf, type Flow } from './decoder';

interface Step {
  offset: number;
  flow: Exclude<Flow, 'call'>;
  target: number;
  /** What happens to the stack pointer: it moves by bytes, is rounded down to 16, or is not known. */
  moves: number | 'rounds' | 'unknown';
  leaves: boolean;
  /** What the instruction reads or takes the address of, where that may be in the caller's frame. */
  onStack: { base: Register; displacement: number } | undefined;
}

/** The stack pointer: its distance from the entry, or from a multiple of 16; undefined: not known. */
type Pointer = { from: 'entry' | 'multiple'; bytes: number } | undefined;

/** By offset of the call or of the jump that leaves the code. What no branch leads to is taken for unknown. */
export function stackAlignments(code: Uint8Array): Map<number, StackAlignment> {
  const steps = decode(code);
  const pointers = stackPointers(steps);
  const offsets = new Set(steps.map(({ offset }) => offset));
  const alignments = new Map<number, StackAlignment>();
  steps.forEach(({ offset, leaves, flow, target }, i) => {
    const isTailJump = (flow === 'jump' || flow === 'branch') && !offsets.has(target);
    // A jump leaves the return address to the other function: eight bytes less than a call.
    if (leaves || isTailJump) alignments.set(offset, alignmentOf(pointers[i], isTailJump ? 0 : 8));
  });
  return alignments;
}

/** As StackUse.withFrameSizesOf: `sub $size, %rsp`, with the size in one byte or four. */
export function withFrameSizesOf(code: Buffer, other: Buffer): Buffer | undefined {
  const places = frameSizes(code);
  const others = frameSizes(other);
  if (places.length !== others.length) return undefined;
  const result = Buffer.from(code);
  for (const [index, { start, end }] of places.entries()) {
    const there = others[index]!;
    if (there.start !== start || there.end !== end) return undefined;
    other.copy(result, start, start, end);
  }
  return result;
}

/** Where the sizes are. */
function frameSizes(code: Buffer): { start: number; end: number }[] {
  const found: { start: number; end: number }[] = [];
  forEachInstruction(code, (instruction, offset) => {
    if (instruction.mnemonic !== Mnemonic.Sub || instruction.op0Register !== Register.RSP) return;
    const size = instruction.op1Kind === OpKind.Immediate8to64 ? 1 : 4;
    if (size === 4 && instruction.op1Kind !== OpKind.Immediate32to64) return;
    const end = offset + instruction.length;
    found.push({ start: end - size, end });
  });
  return found;
}

/** Whether code may read what its caller left on the stack. */
export function mayReadStackArguments(code: Uint8Array): boolean {
  const steps = decode(code);
  const pointers = stackPointers(steps);
  return steps.some(({ onStack }, i) => {
    if (!onStack) return false;
    const pointer = pointers[i]!;
    // Behind `push %rbp; mov %rsp,%rbp`, and whoever uses the register for something else is taken for it.
    if (onStack.base === Register.RBP) return onStack.displacement >= 16;
    if (pointer === 'unreached' || pointer?.from !== 'entry') return true;
    return pointer.bytes + onStack.displacement >= 8;
  });
}

/** Where the stack pointer is before each step. */
function stackPointers(steps: readonly Step[]): (Pointer | 'unreached')[] {
  const index = new Map(steps.map(({ offset }, i) => [offset, i]));
  const before: (Pointer | 'unreached')[] = steps.map(() => 'unreached');
  const pending: [number, Pointer][] = [[0, { from: 'entry', bytes: 0 }]];
  const landings: number[] = [];
  steps.forEach(({ flow, target }, i) => {
    const to = flow === 'branch' || flow === 'jump' ? index.get(target) : undefined;
    if (to !== undefined) landings.push(to);
    if (flow === 'jump' || flow === 'indirect-jump' || flow === 'end') landings.push(i + 1);
  });
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [i, pointer] = next;
    const step = steps[i];
    const known = before[i];
    if (!step || (known !== 'unreached' && (known === undefined || isSame(known, pointer)))) continue;
    const joined = known === 'unreached' ? pointer : undefined;
    before[i] = joined;
    const after = moved(joined, step.moves);
    if (step.flow === 'next' || step.flow === 'branch') pending.push([i + 1, after]);
    const to = step.flow === 'branch' || step.flow === 'jump' ? index.get(step.target) : undefined;
    if (to !== undefined) pending.push([to, after]);
    // Of a switch it is not known which ones it leads to.
    if (step.flow === 'indirect-jump')
      for (const landing of landings) if (before[landing] === 'unreached') pending.push([landing, after]);
  }
  return before;
}

function alignmentOf(pointer: Pointer | 'unreached', short: number): StackAlignment {
  if (pointer === undefined || pointer === 'unreached') return 'unknown';
  if (pointer.from === 'multiple')
    return (((pointer.bytes + 8 - short) % 16) + 16) % 16 === 0 ? 'always' : 'unknown';
  return (((pointer.bytes + short) % 16) + 16) % 16 === 0 ? 'as-entered' : 'opposite';
}

function isSame(a: Pointer, b: Pointer): boolean {
  return a?.from === b?.from && a?.bytes === b?.bytes;
}

function moved(pointer: Pointer, moves: Step['moves']): Pointer {
  if (moves === 'rounds') return { from: 'multiple', bytes: 0 };
  if (moves === 'unknown' || pointer === undefined) return undefined;
  return { from: pointer.from, bytes: pointer.bytes + moves };
}

function decode(code: Uint8Array): Step[] {
  const steps: Step[] = [];
  forEachInstruction(code, (instruction, offset) => {
    const flow = flowOf(instruction.flowControl);
    const calls = flow === 'call';
    steps.push({
      offset,
      flow: flow === 'call' ? 'next' : flow,
      target: Number(BigInt.asIntN(64, instruction.nearBranchTarget)),
      moves: calls ? 0 : movesOf(instruction),
      leaves: calls,
      onStack: onStackOf(instruction),
    });
  });
  return steps;
}

function onStackOf(instruction: Instruction): Step['onStack'] {
  const base = instruction.memoryBase;
  if (base !== Register.RSP && base !== Register.RBP) return undefined;
  return { base, displacement: Number(BigInt.asIntN(64, instruction.memoryDisplacement)) };
}

function movesOf(instruction: Instruction): Step['moves'] {
  if (instruction.mnemonic === Mnemonic.Leave) return 'unknown';
  if (instruction.isStackInstruction) return instruction.stackPointerIncrement;
  if (instruction.opCount === 0 || instruction.op0Kind !== OpKind.Register) return 0;
  if (instruction.op0Register !== Register.RSP && instruction.op0Register !== Register.ESP) return 0;
  const value = (): number => Number(BigInt.asIntN(64, instruction.immediate(1)));
  const isImmediate =
    instruction.opCount > 1 &&
    instruction.op1Kind !== OpKind.Register &&
    instruction.op1Kind !== OpKind.Memory;
  switch (instruction.mnemonic) {
    case Mnemonic.Cmp:
    case Mnemonic.Test:
      return 0;
    case Mnemonic.Sub:
      return isImmediate ? -value() : 'unknown';
    case Mnemonic.Add:
      return isImmediate ? value() : 'unknown';
    case Mnemonic.And:
      return isImmediate && (value() & 15) === 0 ? 'rounds' : 'unknown';
    case Mnemonic.Lea:
      return instruction.memoryBase === Register.RSP && instruction.memoryIndex === Register.None
        ? Number(BigInt.asIntN(64, instruction.memoryDisplacement))
        : 'unknown';
    default:
      return 'unknown';
  }
}
