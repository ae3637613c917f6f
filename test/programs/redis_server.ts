// Debian's redis, built by its own Makefile at -O2 -g, and started with the runtime, I/O threads and a port of its own.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import type { Session } from '../support/session';
import { cache, debianSource } from './debian_source';
import { freePort, type LineClient, SourceTree } from './real_program';

export const progress = (text: string) => console.log(`      redis: ${text}`);

export interface Redis {
  server: string;
  tree: SourceTree;
  database: string;
  /** Of the database. */
  directory: string;
}

export function buildRedis(compiler: 'gcc' | 'clang'): Redis {
  const folder = compiler === 'gcc' ? 'redis' : 'redis-clang';
  const source = debianSource('redis', folder);
  const directory = join(cache, folder);
  const database = join(directory, 'compile_commands.json');
  const server = join(source, 'src', 'redis-server');
  const tree = new SourceTree(source);
  if (!existsSync(server) || !existsSync(database)) {
    progress(`building with its own Makefile and ${compiler} (a minute or two)`);
    const make = ['make', '-j2', `CC=${compiler}`, 'MALLOC=libc', 'OPTIMIZATION=-O2', 'redis-server'];
    execFileSync('bear', ['--output', database, '--', ...make], {
      cwd: source,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return { server, tree, database, directory };
}

/** Starts the server, and waits until it takes connections. */
export async function startRedis(
  session: Session,
  { server }: Redis,
): Promise<{ program: Program; port: number }> {
  const port = await freePort();
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', session.directory];
  const command = [cli, 'run', '--', server, ...options, '--io-threads', '4', '--daemonize', 'no'];
  const program = await session.startCommand(process.execPath, command);
  await program.line(/Ready to accept connections/);
  return { program, port };
}

/** A reply of the redis protocol, as text; requests are inline commands. */
export async function reply(client: LineClient, request: string): Promise<string> {
  client.send(request);
  const line = await client.line();
  if (!line.startsWith('$')) return line.slice(1);
  return line === '$-1' ? 'nil' : client.line();
}
