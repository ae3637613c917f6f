// What a process that crashed left behind, as people read it: functions, lines and versions of its backtrace. It reads the
// last word of the runtime and the files that were mapped; the process is gone.
import { join } from 'node:path';
import type { EngineContext, Mapping } from './context';
import { callerOf, type Caller, type Registers } from './dwarf/call_frames';
import { placeOfCode, type CodePlace } from './dwarf/line_at';
import { ElfFile, type OpenElfFile } from './elf/file';
import { number64 } from './elf/integers';
import { look, readTextIfThere } from './host';
import type { CrashFrame, CrashReport, PatchableProcess, ProcessStatus } from './model/result';
import { baseDirectories, crashDirectory } from './process/control_directory';
import { causeOf, readCrashDocument, signalName, type CrashDocument } from './process/crash_document';
import { isPatchFile } from './process/maps';
import { mappedFiles, placement } from './process/modules';
import { parseStatus } from './process/status';

const MOST_FRAMES = 64;
/** Bytes of a status, as the client of the runtime reads it. */
const LARGEST_STATUS = 64 * 1024 * 1024;
/** DWARF numbers (psABI for x86-64, figure 3.36). */
const STACK_POINTER = 7;
const COUNTER = 16;

interface CrashedModule {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly bias: number;
  readonly elf: ElfFile;
}

/** @param log a module that cannot be read is a line in the log: its frames have no names */
export async function readCrash(
  { pid, startTime, exe, runtime }: Pick<PatchableProcess, 'pid' | 'startTime' | 'exe' | 'runtime'>,
  demangle: EngineContext['demangle'],
  log: (message: string) => void,
): Promise<CrashReport | undefined> {
  const uid = process.getuid!();
  const directory = runtime?.controlDirectory ?? crashDirectory(pid, uid, baseDirectories(uid, []));
  const crash = directory === undefined ? undefined : readCrashDocument(directory);
  if (directory === undefined || crash?.startTime !== startTime) return undefined;
  const statusText = readTextIfThere(join(directory, 'status.json'), LARGEST_STATUS);
  const status = statusText === undefined ? undefined : parseStatus(statusText, exe);
  const open: OpenElfFile[] = [];
  try {
    const modules = modulesOf(crash.mappings, open, log);
    const frames = backtrace(crash, modules).map((frame) => describe(frame, modules, status, log));
    const names = await demangle(frames.map(({ symbol }) => symbol ?? ''));
    return {
      pid,
      exe,
      at: crash.at,
      signal: signalName(crash.signal),
      cause: causeOf(crash, crash.registers[STACK_POINTER] ?? 0),
      thread: crash.thread,
      tid: crash.tid,
      frames: frames.map(({ symbol, ...frame }, index) => ({
        ...frame,
        ...(symbol !== undefined && { function: names[index] ?? symbol }),
      })),
    };
  } finally {
    for (const elf of open) elf.close();
  }
}

/** Modules and patches whose files are still what was mapped. */
function modulesOf(
  mappings: readonly Mapping[],
  open: OpenElfFile[],
  log: (message: string) => void,
): CrashedModule[] {
  const patches = mappings
    .filter(({ path, executable }) => executable && isPatchFile(path))
    .map((mapping) => ({ path: mapping.path, inode: mapping.inode, first: mapping, last: mapping }));
  return [...mappedFiles(mappings), ...patches].flatMap(({ path, inode, first, last }): CrashedModule[] => {
    try {
      if (look(path)?.ino !== inode) return [];
      const elf = ElfFile.open(path);
      open.push(elf);
      const place = isPatchFile(path)
        ? { bias: 0, start: first.start, end: last.end }
        : placement(elf, first);
      return place ? [{ path, elf, ...place }] : [];
    } catch (error) {
      log(`${path}, of a process that crashed: ${String(error)}`);
      return [];
    }
  });
}

interface Frame {
  readonly address: number;
  /** To look it up by: behind a call, the call itself. */
  readonly inside: number;
}

function backtrace(crash: CrashDocument, modules: readonly CrashedModule[]): Frame[] {
  const { address: stackStart, bytes } = crash.stack;
  const read = (address: number): number | undefined => {
    const at = address - stackStart;
    return at >= 0 && at + 8 <= bytes.length ? number64(bytes, at) : undefined;
  };
  const frames: Frame[] = [];
  let registers: Registers = crash.registers;
  let isExact = true;
  while (frames.length < MOST_FRAMES) {
    const address: number | undefined = registers[COUNTER];
    if (address === undefined || (address === 0 && frames.length > 0)) break;
    const inside: number = isExact ? address : address - 1;
    frames.push({ address, inside });
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
  read: (address: number) => number | undefined,
): Caller | undefined {
  const pointer = registers[STACK_POINTER];
  const returnsTo = pointer === undefined ? undefined : read(pointer);
  if (pointer === undefined || returnsTo === undefined) return undefined;
  const caller = registers.map((value, register) =>
    register === COUNTER ? returnsTo : register === STACK_POINTER ? pointer + 8 : value,
  );
  return { registers: caller, interrupted: false };
}

function moduleAt(modules: readonly CrashedModule[], address: number): CrashedModule | undefined {
  return modules.find(({ start, end }) => start <= address && address < end);
}

function describe(
  { address, inside }: Frame,
  modules: readonly CrashedModule[],
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
