// The programs that were built here, for the commands and debug configurations that start one: ELF executables below
// the build directories and the workspace folders. Reads only.
import { access, constants, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { CompileDatabases } from './compile_database';

/** Executables in the build directories and the workspace folders, a few levels deep. */
export async function builtPrograms(databases: CompileDatabases): Promise<string[]> {
  const folders = (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
  const found = await Promise.all(
    [...new Set([...(await databases.find()), ...folders])].map((directory) => programsIn(directory, 4)),
  );
  return [...new Set(found.flat())].sort(
    (a, b) => a.split('/').length - b.split('/').length || a.localeCompare(b),
  );
}

async function programsIn(directory: string, depth: number): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry): Promise<string[]> => {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        const skipped = depth === 0 || /^(\.|node_modules$|CMakeFiles$)/.test(entry.name);
        return skipped ? [] : programsIn(path, depth - 1);
      }
      return entry.isFile() && !/\.(so|o|a)(\.|$)/.test(entry.name) && (await isProgram(path)) ? [path] : [];
    }),
  );
  return found.flat();
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    if ((await stat(path)).size < 64) return false;
  } catch {
    return false;
  }
  const head = Buffer.alloc(18);
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  // e_type ET_EXEC or ET_DYN; an object file (ET_REL) is no program.
  return (
    head.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1')) && [2, 3].includes(head.readUInt16LE(16))
  );
}
