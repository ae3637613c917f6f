// Files in control directories say in their names which engine made them: `TIME-NAMESPACE.PID-COUNT…`, with a dot before
// it for an unfinished request, and `handed-over-` for the copy of a hand-written patch. NAMESPACE is the number of the PID
// namespace: the same PID is somebody else in another.
import { linkTarget } from '../host';
import { readStat } from './process_list';

const MADE_BY = /^(?:\.|handed-over-)?[0-9a-z]+-(\d+)\.(\d+)-\d+/;

/** Number of the PID namespace of this process (namespaces(7)), 0 when it cannot be known. */
const namespace = (): string => /\d+/.exec(linkTarget('/proc/self/ns/pid') ?? '')?.[0] ?? '0';

/** An engine of this PID namespace, by default this one, for the name of a file. */
export const fileOwner = (pid = process.pid): string => `${namespace()}.${pid}`;

/** Whether the engine that made a file is gone: for sure, or perhaps, because its number was given again or is one of a
 * namespace that cannot be seen into. Undefined for other files. */
export function ownerIsGone(name: string): 'yes' | 'perhaps' | undefined {
  const [, within, pid] = MADE_BY.exec(name) ?? [];
  if (pid === undefined) return undefined;
  return within === namespace() && readStat(Number(pid)) === undefined ? 'yes' : 'perhaps';
}
