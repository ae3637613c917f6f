// Parts of the runtime in a program of their own, for what nobody can bring about in a real process: the program is C++
// that includes files of native/src.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths';
import { embed, type RuntimeSession } from './runtime_process';

/** @returns the lines that the program printed; it must end with 0. */
export async function runWithInternals(session: RuntimeSession, source: string): Promise<readonly string[]> {
  const native = join(root, 'native');
  const [file, executable] = [session.path('program.cc'), session.path('program')];
  writeFileSync(file, source);
  const flags = readFileSync(join(native, 'compile_flags.txt'), 'utf8').trim().split('\n');
  const include = ['src', 'include'].map((name) => `-I${join(native, name)}`);
  execFileSync('g++', [...flags, ...include, file, ...embed.behind, '-o', executable, '-pthread']);
  const program = await session.startCommand(executable, []);
  const status = await program.exit();
  if (status !== 0) throw new Error(`the program ended with ${status}: ${program.lines.join('\n')}`);
  return program.lines;
}
