// The TCP ports that a process listens on: its open sockets (/proc/PID/fd), looked up in the tables of its network
// namespace (/proc/PID/net/tcp and tcp6). What tells processes of one program apart, for people.
import { linkTarget, namesIn, readProcess } from '../host';

/** proc(5), net/tcp: TCP_LISTEN. */
const LISTENING = '0A';

/** Ascending; none where that cannot be read: the process has ended, or is another user's. */
export async function listeningPorts(pid: number): Promise<number[]> {
  const sockets = new Set(
    namesIn(`/proc/${pid}/fd`).flatMap(
      (descriptor) => /^socket:\[(\d+)\]$/.exec(linkTarget(`/proc/${pid}/fd/${descriptor}`) ?? '')?.[1] ?? [],
    ),
  );
  if (sockets.size === 0) return [];
  const tables = await Promise.all(['net/tcp', 'net/tcp6'].map((name) => tableOf(pid, name)));
  const rows = tables.flatMap((table) => table.trim().split('\n').slice(1));
  const ports = rows.flatMap((row) => {
    // sl, local_address, rem_address, st, queues, tr, retrnsmt, uid, timeout, inode
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    const isOwn = state === LISTENING && sockets.has(inode);
    return isOwn ? [parseInt(local.slice(local.lastIndexOf(':') + 1), 16)] : [];
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}

async function tableOf(pid: number, name: string): Promise<string> {
  try {
    return (await readProcess(pid, name)).toString('latin1');
  } catch {
    return '';
  }
}
