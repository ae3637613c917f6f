// What the tests of real programs share: edits of their sources that are always undone, `check` over every unit, a
// line client, a free port. The sources lie under .cache/ and must be as they were built before and after each test.
import { strict as assert } from 'node:assert';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Engine } from '../../extension/engine/engine';
import type { CheckReport } from '../../extension/engine/model/result';
import { withEngine } from '../support/engines';
import { hotPatch, type RunOptions } from '../support/hot_patch';
import { dist } from '../support/paths';
import type { Session } from '../support/session';

const saved = '.before-edit';

/** A source tree that tests edit: `restore` puts every edited file back, also after a run that was killed. */
export class SourceTree {
  constructor(readonly directory: string) {
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      if (name.endsWith(saved))
        renameSync(join(directory, name), join(directory, name.slice(0, -saved.length)));
    }
  }

  /** The path of a file that something else edits. */
  toEdit(file: string): string {
    const path = join(this.directory, file);
    if (!existsSync(path + saved)) {
      copyFileSync(path, path + saved);
      const { atime, mtime } = statSync(path);
      utimesSync(path + saved, atime, mtime);
    }
    return path;
  }

  edit(file: string, from: string, to: string): string {
    const path = this.toEdit(file);
    const text = readFileSync(path, 'utf8');
    assert.equal(text.split(from).length, 2, `${file} must have once: ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    return path;
  }

  /** Undoes all edits of a file. */
  undo(file: string): string {
    const path = join(this.directory, file);
    if (existsSync(path + saved)) renameSync(path + saved, path);
    return path;
  }

  restore(): void {
    void new SourceTree(this.directory);
  }
}

/** Sources that a compile database names, each once. */
export function databaseSources(database: string): string[] {
  const entries = JSON.parse(readFileSync(database, 'utf8')) as { directory: string; file: string }[];
  return [
    ...new Set(entries.map(({ directory, file }) => join(file.startsWith('/') ? '' : directory, file))),
  ];
}

/**
 * `hot-patch check` over every unit: all that are in the process must be found unchanged. Reports what was compared.
 * Units of the database that belong to other programs are skipped, as `check` itself says.
 */
export async function assertNothingFalselyChanged(
  files: string[],
  options: RunOptions,
  progress: (text: string) => void,
) {
  const reports: CheckReport[] = [];
  const step = 12;
  for (let i = 0; i < files.length; i += step) {
    const run = await hotPatch(['check', '--json', ...files.slice(i, i + step)], options);
    reports.push(...(JSON.parse(run.stdout) as CheckReport[]));
    progress(`checked ${Math.min(i + step, files.length)} of ${files.length} units`);
  }
  const inProgram = reports.filter(({ verdict }) => verdict !== 'no-process');
  const wrong = inProgram
    .filter(
      ({ verdict, functions, problems }) =>
        verdict !== 'ready' || functions?.changed !== 0 || problems.length > 0,
    )
    .map(({ file, verdict, message, changed, problems }) => ({
      file,
      verdict,
      message,
      changed: changed?.map(({ name }) => name),
      problems: problems.map(({ code, message: text }) => `${code}: ${text}`),
    }));
  const compared = inProgram.reduce((sum, { functions }) => sum + (functions?.compared ?? 0), 0);
  progress(`${inProgram.length} units, ${compared} functions compared, ${wrong.length} units not as built`);
  assert.deepEqual(wrong, []);
  return { units: inProgram.length, compared };
}

/** An engine in this process, for many saves in one program of a session; its commands are those of a build directory. */
export function withEngineOf(
  session: Session,
  buildDirectory: string,
  use: (engine: Engine) => Promise<void>,
): Promise<void> {
  const runtimeDirectory = join(dist, 'native', 'lib');
  return withEngine(session, use, { buildDirectories: [buildDirectory], runtimeDirectory });
}

/** A connection that speaks in lines. */
export class LineClient {
  private readonly unread: string[] = [];
  private readonly waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];
  closed = false;

  private constructor(readonly socket: Socket) {
    createInterface({ input: socket }).on('line', (line) => {
      const waiter = this.waiting.shift();
      if (waiter) waiter.resolve(line);
      else this.unread.push(line);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const { reject } of this.waiting.splice(0)) reject(new Error('the server closed the connection'));
    });
  }

  static async connect(port: number): Promise<LineClient> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new LineClient(socket);
  }

  line(): Promise<string> {
    const line = this.unread.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.closed) return Promise.reject(new Error('the connection is closed'));
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  send(text: string): void {
    this.socket.write(`${text}\n`);
  }

  close(): void {
    this.socket.destroy();
  }
}

/** The whole answer of a server that closes the connection behind it. */
export async function answerOf(port: number, request: string): Promise<string> {
  const socket = createConnection({ host: '127.0.0.1', port });
  socket.write(request);
  return (await text(socket)).trim();
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
