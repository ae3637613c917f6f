// What several users may read, below /tmp: a workspace that is one user's, and the command line for each to run. Made and
// left by root.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Run } from './hot_patch';
import { dist } from './paths';
import type { Session } from './session';

/** Somebody who owns nothing. */
export const NOBODY = 65534;
/** Somebody else. */
export const DAEMON = 1;

/** Before a command that is to run as a user; root's need nothing. */
export function as(user: number): string[] {
  return user === 0 ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
}

export class SharedWorkspace {
  private readonly top = `/tmp/hot-patch-shared-${process.pid}`;
  readonly directory = join(this.top, 'work');
  readonly cli = join(this.top, 'tool', 'cli.js');

  /** Builds `program` from sources of the session, of which the last is the one to edit; all of it is the owner's. */
  static async make(session: Session, sources: readonly string[], owner: number): Promise<SharedWorkspace> {
    const made = new SharedWorkspace();
    mkdirSync(made.top, { mode: 0o755 });
    for (const name of ['cli.js', 'engine.js', 'iced_x86.js', 'iced_x86_bg.wasm', 'linux_x64', 'native'])
      cpSync(join(dist, name), join(made.top, 'tool', name), { recursive: true });
    mkdirSync(made.directory);
    mkdirSync(made.path('run'), { mode: 0o700 });
    const commands = sources.map((file) => {
      cpSync(session.path(file), made.path(file));
      const args = ['gcc', '-g', '-O2', '-c', file, '-o', `${file}.o`];
      return { directory: made.directory, file, arguments: args };
    });
    for (const { arguments: args } of commands) await session.run(args[0]!, args.slice(1), made.directory);
    const objects = sources.map((file) => `${file}.o`);
    await session.run('gcc', [...objects, '-o', 'program'], made.directory);
    writeFileSync(made.path('compile_commands.json'), JSON.stringify(commands));
    await session.run('chown', ['-R', `${owner}:${owner}`, made.directory]);
    return made;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Replaces text of a source, in place: it stays the owner's. */
  edit(name: string, from: RegExp, to: string): void {
    writeFileSync(this.path(name), readFileSync(this.path(name), 'utf8').replace(from, to));
  }

  /** Variables as the owner's own. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, XDG_RUNTIME_DIR: this.path('run'), TMPDIR: '/tmp', HOME: this.directory };
  }

  /** Runs a command line in the workspace to its end. */
  run(words: readonly string[], env: NodeJS.ProcessEnv = this.environment): Promise<Run> {
    return new Promise((resolve) =>
      execFile(words[0]!, words.slice(1), { cwd: this.directory, env }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
      ),
    );
  }

  /** `hot-patch …` as a user. */
  hotPatch(user: number, ...args: string[]): Promise<Run> {
    return this.run([...as(user), process.execPath, this.cli, ...args]);
  }

  remove(): void {
    rmSync(this.top, { recursive: true });
  }
}
