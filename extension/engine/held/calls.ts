// Calling a function of a held thread again: its frame is left, and it is entered with the arguments that it was called with,
// where each of them is still known.
import type { Architecture, CodePiece, EntryValue } from '../arch/architecture';
import { COUNTER, STACK_POINTER, type CodeModule } from '../backtrace';
import type { RequestLine } from '../context';
import { landingPadsOf } from '../dwarf/landing_pads';
import type { ElfFile, ElfSymbol } from '../elf/file';
import type { ProcessStatus } from '../model/result';
import type { Scalar } from '../types/call_of';
import { wholeName, type HeldFrame } from './frames';
import { mayComeBack } from './returns_twice';
import { registerLines, setRegister, setVector } from './returns';

interface Context {
  readonly arch: Architecture;
  readonly status: ProcessStatus | undefined;
  readonly modules: readonly CodeModule[];
  /** The stack as it was read. */
  readonly stack: { readonly address: number; readonly bytes: Buffer };
  /** Of the thread where it crashed: those of a frame that calls are nobody's. */
  readonly vectors: readonly bigint[];
}

/** The lines of a request that call the function of a frame again; else why they are not known.
 * @param caller the frame's */
export function callAgain(
  { frame, module, symbol, name, call }: HeldFrame,
  caller: HeldFrame,
  { arch, status, modules, stack, vectors }: Context,
): { lines: RequestLine[] } | { reason: string } {
  if (!module || !symbol || !call)
    return { reason: `there is no debug information that says how ${name} is called` };
  if (!call.inRegisters || call.variadic)
    return { reason: `${name} takes arguments on the stack, which it may have changed` };
  const pieces = codeOf(module.elf, symbol);
  const entry = entryOf(frame.inside, pieces, module.bias, status);
  if (!pieces || entry === undefined) return { reason: `the entry of ${name} is not known` };
  if (mayComeBack(module, pieces, modules, arch))
    return { reason: `${name} may call setjmp, and have come back to it with other values` };
  const values = arch.entryValues(pieces, {
    inside: frame.inside - module.bias,
    isBehindCall: !frame.interrupted,
    hasHomes: call.hasHomes,
  });
  if (!values)
    return { reason: `the code of ${name} cannot be followed, as it goes on where a table says (a switch)` };
  const base = caller.frame.registers[STACK_POINTER];
  if (base === undefined) return { reason: `the stack pointer of ${caller.name} is not known` };
  const pointer = Number(base) - arch.returnAddressSize;
  const bytesOf = (value: EntryValue): bigint | undefined => {
    if (value.place === 'register') return frame.registers[value.number];
    if (value.place === 'vector') return vectors[value.number];
    const at = pointer + value.offset - stack.address;
    if (at < 0 || at + value.bytes > stack.bytes.length) return undefined;
    const bytes = Buffer.alloc(8);
    stack.bytes.copy(bytes, 0, at, at + value.bytes);
    return bytes.readBigUInt64LE();
  };
  const lines = registerLines(caller.frame.registers, arch.generalRegisters.kept);
  if (!lines) return { reason: `registers of ${caller.name} are not known` };
  lines.push(setRegister(STACK_POINTER, BigInt(pointer)), setRegister(COUNTER, BigInt(entry)));
  const next = { integer: 0, float: 0 };
  for (const [index, parameter] of call.parameters.entries()) {
    if (!parameter)
      return { reason: `parameter ${index + 1} of ${name} is an object that is passed by value` };
    const number = next[parameter.kind]++;
    const place = (parameter.kind === 'integer' ? values.integers : values.vectors)[number];
    const value = place && place.bytes >= parameter.size ? bytesOf(place) : undefined;
    if (!place || value === undefined)
      return {
        reason: `what parameter ${index + 1} of ${name} was when it was called is not known any more`,
      };
    const bits = asPassed(value, place.bytes, parameter);
    lines.push(
      parameter.kind === 'integer'
        ? setRegister(arch.generalRegisters.arguments[number]!, bits)
        : setVector(number, bits),
    );
  }
  return { lines };
}

/** Callers extend small numbers to 32 bits, and callees of clang rely on it. */
function asPassed(value: bigint, bytes: number, { size, isSigned }: Scalar): bigint {
  const known = BigInt.asUintN(8 * bytes, value);
  if (size >= 4 || bytes >= 4) return known;
  const low = isSigned ? BigInt.asIntN(8 * size, known) : BigInt.asUintN(8 * size, known);
  return BigInt.asUintN(32, low);
}

/** The function's code, its entry first, and what was moved away of it. */
function codeOf(elf: ElfFile, part: ElfSymbol): CodePiece[] | undefined {
  const name = wholeName(part.name);
  const isPart = (symbol: ElfSymbol): boolean => symbol.size > 0 && wholeName(symbol.name) === name;
  const parts = elf.symbols().filter(isPart);
  const whole = parts.filter((symbol) => symbol.name === name);
  // Static functions of several files may have one name: then only what is where the thread is, as a whole.
  const [main] = whole.length === 1 ? whole : whole.filter(({ value }) => value === part.value);
  if (!main || (whole.length > 1 && parts.length > whole.length)) return undefined;
  const pieces = whole.length > 1 ? [main] : [main, ...parts.filter((symbol) => symbol !== main)];
  const landingPads: number[] = [];
  for (const { value } of pieces) {
    const pads = landingPadsOf(elf, value);
    if (!pads) return undefined;
    landingPads.push(...pads.all);
  }
  return pieces.flatMap(({ value, size }) => {
    const bytes = elf.loaded(value, size);
    return bytes ? [{ address: value, bytes, landingPads }] : [];
  });
}

/** Where the function is entered in its newest version: the entry that was, or will be, redirected. */
function entryOf(
  inside: number,
  pieces: readonly CodePiece[] | undefined,
  bias: number,
  status: ProcessStatus | undefined,
): number | undefined {
  const known = status?.functions.find(({ versions }) =>
    versions.some(({ address, size }) => Number(address) <= inside && inside < Number(address) + size),
  );
  if (known) return Number(known.address);
  return pieces?.[0] && pieces[0].address + bias;
}
