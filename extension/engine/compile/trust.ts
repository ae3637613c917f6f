// May others have written what lies at a path? A compile database says which programs to run, so one that was planted
// runs a stranger's program as the user. Looks at owners and modes only.
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import { look, readTextIfThere, realPathOrSelf } from '../host';

const GROUP_WRITABLE = 0o020;
const OTHERS_WRITABLE = 0o002;
const STICKY = 0o1000;

export interface Trust {
  /** Why names in a directory must not be looked for: others may put some there. Undefined when they cannot. */
  ofDirectory: (path: string) => string | undefined;
  /** Why a file must not be believed: it, or a directory above it, may be changed by others. */
  ofFile: (path: string) => string | undefined;
}

/** Trusts what belongs to the user or to root, and that nobody else can change. */
export function createTrust(uid = process.getuid?.() ?? 0): Trust {
  const known = new Map<string, string | undefined>();

  const whyNot = (path: string, stats: Stats | undefined): string | undefined => {
    if (!stats) return `${path} cannot be looked at`;
    if (stats.uid !== uid && stats.uid !== 0) return `${path} belongs to user ${stats.uid}`;
    if (stats.mode & OTHERS_WRITABLE) return `everybody may write to ${path}`;
    if (stats.mode & GROUP_WRITABLE && !isPrivateGroup(stats.gid, uid))
      return `the group ${stats.gid} may write to ${path}`;
    return undefined;
  };

  /** A directory above a file: in a sticky one others can add names, but not replace what is not theirs. */
  const ofAncestor = (path: string): string | undefined => {
    if (known.has(path)) return known.get(path);
    const stats = look(path);
    const sticky = stats !== undefined && stats.mode & STICKY && (stats.uid === 0 || stats.uid === uid);
    const above = dirname(path);
    const why =
      (sticky ? undefined : whyNot(path, stats)) ?? (above === path ? undefined : ofAncestor(above));
    known.set(path, why);
    return why;
  };

  return {
    ofDirectory: (path) => whyNot(path, look(path)) ?? ofAncestor(realPathOrSelf(path)),
    ofFile: (path) => {
      const real = realPathOrSelf(path);
      return (
        whyNot(real, look(real)) ?? whyNot(dirname(real), look(dirname(real))) ?? ofAncestor(dirname(real))
      );
    },
  };
}

/** Distributions give each user a group of the user's own, and a umask that lets it write. */
function isPrivateGroup(gid: number, uid: number): boolean {
  const rows = (path: string): string[][] =>
    (readTextIfThere(path) ?? '').split('\n').map((line) => line.split(':'));
  const users = rows('/etc/passwd');
  const name = users.find((user) => user[2] === String(uid))?.[0];
  const group = rows('/etc/group').find((row) => row[2] === String(gid));
  // A group that is not in the file (LDAP) may have anybody in it.
  if (!group) return false;
  const members = (group[3] ?? '').split(',').filter((member) => member !== '');
  const others = users.filter((user) => user[3] === String(gid) && user[2] !== String(uid));
  return others.length === 0 && members.every((member) => member === name);
}
