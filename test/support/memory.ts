// What is really in a process, read by the test itself from /proc and not asked from the runtime or the engine.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** Bytes of a process's memory in lower-case hex. `address` is a number or "0x…". */
export function readMemory(pid: number, address: string | bigint, length: number): string {
  const file = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const bytes = Buffer.alloc(length);
    const read = readSync(file, bytes, 0, length, BigInt(address));
    return bytes.subarray(0, read).toString('hex');
  } finally {
    closeSync(file);
  }
}

export interface Mapping {
  start: bigint;
  end: bigint;
  protection: string;
  path: string;
}

export function mappings(pid: number): Mapping[] {
  const rows = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n');
  return rows.map((row) => {
    const [range, protection, , , , ...path] = row.split(/\s+/);
    const [start, end] = range!.split('-').map((text) => BigInt(`0x${text}`));
    return { start: start!, end: end!, protection: protection!, path: path.join(' ') };
  });
}

/** The sequence number of the runtime's own status file, which its worker thread writes first when it starts. */
export async function statusSequence(base: string, pid: number): Promise<number> {
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    const text = controlFile(base, pid, 'status.json');
    if (text !== undefined) return (JSON.parse(text) as { sequence: number }).sequence;
    await setTimeout(5);
  }
  throw new Error(`the runtime of process ${pid} wrote no status`);
}

/** Content of a file of the process's control directory. */
export function controlFile(base: string, pid: number, name: string): string | undefined {
  const directory = controlDirectory(base, pid);
  if (directory === undefined) return undefined;
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The control directory of a process; undefined while the runtime has not made the user's directory. */
export function controlDirectory(base: string, pid: number): string | undefined {
  const user = readdirSync(base).find((name) => name.startsWith('hot_fix-'));
  return user === undefined ? undefined : join(base, user, String(pid));
}
