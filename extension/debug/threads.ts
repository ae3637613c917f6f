// The threads of a process as /proc shows them: names, and of a stopped one where it is. Reads only.
import { readdirSync, readFileSync } from 'node:fs';

export interface Thread {
  id: number;
  name: string;
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the thread has ended meanwhile
  }
}

/** None when the process has ended. */
export function readThreads(pid: number): Thread[] {
  let ids: string[];
  try {
    ids = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  return ids.flatMap((id) => {
    const name = tryRead(`/proc/${pid}/task/${id}/comm`)?.trimEnd();
    return name === undefined ? [] : [{ id: Number(id), name: `${name} (${id})` }];
  });
}

/** Its program counter; undefined while it runs on a processor. Last field of /proc/PID/task/TID/syscall (proc(5)). */
export function programCounter(pid: number, thread: number): number | undefined {
  const fields = tryRead(`/proc/${pid}/task/${thread}/syscall`)?.trim().split(' ') ?? [];
  const last = fields.at(-1);
  return last?.startsWith('0x') ? Number(last) : undefined;
}
