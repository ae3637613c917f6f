// What a process that crashed left behind, as people read it: functions, lines and versions of its backtrace. It reads the
// last word of the runtime and the files that were mapped; the process is gone.
import { join } from 'node:path';
import { backtrace, describeFrames, openModules, STACK_POINTER } from './backtrace';
import type { EngineContext } from './context';
import { readTextIfThere } from './host';
import type { CrashReport, PatchableProcess } from './model/result';
import { baseDirectories, crashDirectory } from './process/control_directory';
import { causeOf, readCrashDocument, signalName } from './process/crash_document';
import { parseStatus } from './process/status';

/** Bytes of a status, as the client of the runtime reads it. */
const LARGEST_STATUS = 64 * 1024 * 1024;

/** @param log a module that cannot be read is a line in the log: its frames have no names
 * @param debugDirectories where debug files are, besides the system's own */
export async function readCrash(
  { pid, startTime, exe, runtime }: Pick<PatchableProcess, 'pid' | 'startTime' | 'exe' | 'runtime'>,
  demangle: EngineContext['demangle'],
  log: (message: string) => void,
  debugDirectories: readonly string[],
): Promise<CrashReport | undefined> {
  const uid = process.getuid!();
  const directory = runtime?.controlDirectory ?? crashDirectory(pid, uid, baseDirectories(uid, []));
  const crash = directory === undefined ? undefined : readCrashDocument(directory);
  if (directory === undefined || crash?.startTime !== startTime) return undefined;
  const statusText = readTextIfThere(join(directory, 'status.json'), LARGEST_STATUS);
  const status = statusText === undefined ? undefined : parseStatus(statusText, exe);
  const modules = openModules(crash.mappings, log, debugDirectories);
  try {
    const frames = backtrace(crash.registers, crash.stack, modules.all);
    return {
      pid,
      exe,
      at: crash.at,
      signal: signalName(crash.signal),
      cause: causeOf(crash, Number(crash.registers[STACK_POINTER] ?? 0n)),
      thread: crash.thread,
      tid: crash.tid,
      frames: await describeFrames(frames, modules.all, { status, demangle, log }),
    };
  } finally {
    modules.close();
  }
}
