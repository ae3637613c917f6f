// From registers and a copy of a stack to functions, lines and versions: what a backtrace is made of, of a process that
// crashed or of one that runs. Reads the files that are mapped, never the process.
import type { EngineContext, Mapping } from './context';
import { callerOf, type Caller, type Registers } from './dwarf/call_frames';
import { placeOfCode, type CodePlace } from './dwarf/line_at';
import { ElfFile } from './elf/file';
import { debugFilesOf, isStripped, joinDebugFile } from './elf/separate_debug';
import { look } from './host';
import type { CrashFrame, ProcessStatus } from './model/result';
import { isPatchFile } from './process/maps';
import { mappedFiles, placement } from './process/modules';

const MOST_FRAMES = 64;
/** DWARF numbers (psABI for x86-64, figure 3.36). */
export const STACK_POINTER = 7;
export const COUNTER = 16;

/** The registers of a thread of which only these two are known. */
export function registersAt(stackPointer: number, counter: number): Registers {
  return Array.from({ length: COUNTER + 1 }, (_, register) =>
    register === COUNTER ? BigInt(counter) : register === STACK_POINTER ? BigInt(stackPointer) : undefined,
  );
}

export interface CodeModule {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly bias: number;
  readonly elf: ElfFile;
}

/** Modules and patches whose files are still what was mapped.
 * @param log a module that cannot be read is a line in the log: its frames have no names
 * @param debugDirectories where debug files are, besides the system's own */
export function openModules(
  mappings: readonly Mapping[],
  log: (message: string) => void,
  debugDirectories: readonly string[],
): { all: readonly CodeModule[]; close(): void } {
  const open: { close(): void }[] = [];
  const withDebugFile = (elf: ElfFile, path: string): ElfFile => {
    const joined = joinDebugFile(elf, debugFilesOf(elf, path, [''], debugDirectories));
    if ('problem' in joined) return elf;
    open.push(joined.other);
    return joined.elf;
  };
  const patches = mappings
    .filter(({ path, executable }) => executable && isPatchFile(path))
    .map((mapping) => ({ path: mapping.path, inode: mapping.inode, first: mapping, last: mapping }));
  const all = [...mappedFiles(mappings), ...patches].flatMap(({ path, inode, first, last }): CodeModule[] => {
    try {
      if (look(path)?.ino !== inode) return [];
      const own = ElfFile.open(path);
      open.push(own);
      const elf = isStripped(own) ? withDebugFile(own, path) : own;
      const place = isPatchFile(path)
        ? { bias: 0, start: first.start, end: last.end }
        : placement(elf, first);
      return place ? [{ path, elf, ...place }] : [];
    } catch (error) {
      log(`${path}, of a backtrace: ${String(error)}`);
      return [];
    }
  });
  return {
    all,
    close: () => {
      for (const elf of open) elf.close();
    },
  };
}

export interface Frame {
  readonly address: number;
  /** To look it up by: behind a call, the call itself. */
  readonly inside: number;
  /** As they are in that frame, as far as they are known: behind a call those that its function keeps. */
  readonly registers: Registers;
  /** Whether a signal came there: it is not behind a call. */
  readonly interrupted: boolean;
}

/** The frames of a thread, the innermost first, as far as call frame information and the stack that was read lead.
 * @param start its registers; one that is not known is undefined
 * @param stack what was read of it, from an address on */
export function backtrace(
  start: Registers,
  { address: stackStart, bytes }: { address: number; bytes: Buffer },
  modules: readonly CodeModule[],
): Frame[] {
  const read = (address: bigint): bigint | undefined => {
    const at = Number(address) - stackStart;
    return at >= 0 && at + 8 <= bytes.length ? bytes.readBigUInt64LE(at) : undefined;
  };
  const frames: Frame[] = [];
  let registers = start;
  let isExact = true;
  while (frames.length < MOST_FRAMES) {
    const counter: bigint | undefined = registers[COUNTER];
    if (counter === undefined || (counter === 0n && frames.length > 0)) break;
    const address = Number(counter);
    const inside: number = isExact ? address : address - 1;
    frames.push({ address, inside, registers, interrupted: isExact });
    const module = moduleAt(modules, inside);
    const caller: Caller | undefined = module
      ? callerOf(module.elf, inside - module.bias, registers, read)
      : frames.length === 1
        ? callerOfNowhere(registers, read)
        : undefined;
    // Upwards only: a stack that was overwritten leads anywhere.
    const [before, after] = [registers[STACK_POINTER], caller?.registers[STACK_POINTER]];
    if (!caller || before === undefined || after === undefined || after <= before) break;
    registers = caller.registers;
    isExact = caller.interrupted;
  }
  return frames;
}

/** A call of an address that has no code: what was pushed is all that there is of its frame. */
function callerOfNowhere(
  registers: Registers,
  read: (address: bigint) => bigint | undefined,
): Caller | undefined {
  const pointer = registers[STACK_POINTER];
  const returnsTo = pointer === undefined ? undefined : read(pointer);
  if (pointer === undefined || returnsTo === undefined) return undefined;
  const caller = registers.map((value, register) =>
    register === COUNTER ? returnsTo : register === STACK_POINTER ? pointer + 8n : value,
  );
  return { registers: caller, interrupted: false };
}

export function moduleAt(modules: readonly CodeModule[], address: number): CodeModule | undefined {
  return modules.find(({ start, end }) => start <= address && address < end);
}

export interface FrameContext {
  readonly status: ProcessStatus | undefined;
  /** Where debug files are, besides the system's own. */
  readonly debugDirectories: readonly string[];
  readonly demangle: EngineContext['demangle'];
  readonly log: (message: string) => void;
}

/** Function, line, version and age of each frame, as far as they are known. */
export async function describeFrames(
  frames: readonly Frame[],
  modules: readonly CodeModule[],
  { status, demangle, log }: Omit<FrameContext, 'debugDirectories'>,
): Promise<CrashFrame[]> {
  const described = frames.map((frame) => describe(frame, modules, status, log));
  const names = await demangle(described.map(({ symbol }) => symbol ?? ''));
  return described.map(({ symbol, ...frame }, index) => ({
    ...frame,
    ...(symbol !== undefined && { function: names[index] ?? symbol }),
  }));
}

function describe(
  { address, inside }: Frame,
  modules: readonly CodeModule[],
  status: ProcessStatus | undefined,
  log: (message: string) => void,
): CrashFrame & { symbol?: string } {
  const module = moduleAt(modules, inside);
  let place: CodePlace = {};
  try {
    if (module) place = placeOfCode(module.elf, inside - module.bias);
  } catch (error) {
    log(`debug information of ${module?.path ?? ''}: ${String(error)}`);
  }
  return {
    address: `0x${address.toString(16)}`,
    ...(module && { module: module.path }),
    ...place,
    ...patchedBy(inside, status),
  };
}

/** Which patch brought the code at an address. */
function patchedBy(
  address: number,
  status: ProcessStatus | undefined,
): Pick<CrashFrame, 'version' | 'patchedAt'> {
  const patch = status?.patches.find(
    ({ base, length, state }) =>
      state !== 'unmapped' && Number(base) <= address && address < Number(base) + length,
  );
  if (!status || !patch) return {};
  const versions = status.functions.flatMap((f) => f.versions);
  const version = versions.find(
    (one) =>
      one.patch === patch.id && Number(one.address) <= address && address < Number(one.address) + one.size,
  );
  return { patchedAt: patch.loadedAt, ...(version && { version: version.version }) };
}
