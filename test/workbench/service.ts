// The sample service as its users meet it: built by its own CMakeLists.txt, talked to over its port.
import { cpSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { samples } from '../support/paths';
import type { Session } from '../support/session';
import { until } from '../support/until';

/** The folder is named as the sample is: it is what screenshots show.
 * @param definitions of CMake variables */
export async function buildService(session: Session, ...definitions: string[]): Promise<void> {
  cpSync(join(samples, 'service'), session.path('service'), { recursive: true });
  await session.run('cmake', ['-S', 'service', '-B', 'service/build', ...definitions]);
  await session.run('cmake', ['--build', 'service/build']);
}

/** One open connection; that it stays open through patches is part of what is tested. */
export class Client {
  private readonly answers: AsyncIterator<string>;

  private constructor(private readonly socket: Socket) {
    this.answers = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** Waits until the process listens: a user's client tries again as long as the service starts. */
  static async connect(pid: number): Promise<Client> {
    const port = (await until(
      () => listeningPort(pid),
      (found) => found !== undefined,
    )) as number;
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Client(socket);
  }

  async ask(request: string): Promise<string> {
    this.socket.write(`${request}\n`);
    const { value } = (await this.answers.next()) as { value: string };
    return value;
  }

  close(): void {
    this.socket.destroy();
  }
}

function listeningPort(pid: number): number | undefined {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [],
  );
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').trim().split('\n').slice(1);
  for (const row of rows) {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/);
    if (state === '0A' && inodes.includes(inode)) return parseInt(local.split(':')[1]!, 16);
  }
  return undefined;
}
