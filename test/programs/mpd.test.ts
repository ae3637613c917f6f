// A multi-threaded C++ server no one here wrote: Debian's Music Player Daemon, built by its own Meson project (-O2
// -g), playing into its null output, with a client connected all the time.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { Session } from '../support/session';
import { cache, debianSource } from './debian_source';
import {
  assertNothingFalselyChanged,
  databaseSources,
  freePort,
  LineClient,
  SourceTree,
} from './real_program';

const progress = (text: string) => console.log(`      mpd: ${text}`);

function build(): { server: string; tree: SourceTree; database: string } {
  const source = debianSource('mpd');
  const directory = join(cache, 'mpd', 'build');
  const server = join(directory, 'mpd');
  const tree = new SourceTree(source);
  if (!existsSync(server)) {
    progress('building with Meson and Ninja (some minutes)');
    const run = (command: string, args: string[]) =>
      execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    const options = [
      '--buildtype=debugoptimized',
      '-Dauto_features=disabled',
      '-Dsndfile=enabled',
      '-Dtest=false',
    ];
    run('meson', ['setup', ...(existsSync(directory) ? ['--wipe'] : []), directory, source, ...options]);
    run('ninja', ['-j2', '-C', directory, 'mpd']);
  }
  return { server, tree, database: join(directory, 'compile_commands.json') };
}

/** Writes a day of silence, 8 kHz mono: a song that does not end while it is tested. */
function writeSilence(path: string): void {
  const rate = 8000;
  const length = rate * 2 * 24 * 3600;
  const header = Buffer.from('RIFF----WAVEfmt ----------------------------data----', 'latin1').subarray(
    0,
    44,
  );
  header.writeUInt32LE(36 + length, 4);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(length, 40);
  writeFileSync(path, header);
  // The samples are zeros, which take no room on the disk.
  truncateSync(path, header.length + length);
}

/** The lines of an answer, as a table. */
async function ask(client: LineClient, command: string): Promise<Record<string, string>> {
  client.send(command);
  const answer: Record<string, string> = {};
  for (let line = await client.line(); line !== 'OK'; line = await client.line()) {
    assert.doesNotMatch(line, /^ACK/);
    const colon = line.indexOf(': ');
    answer[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return answer;
}

describe('the Music Player Daemon, built by its own Meson project', () => {
  let session: Session;
  let built: ReturnType<typeof build>;
  let server: Program;
  let client: LineClient;
  let songId: string;

  before(async () => {
    built = build();
    session = new Session();
    const port = await freePort();
    mkdirSync(session.path('music'));
    writeSilence(session.path('music', 'silence.wav'));
    writeFileSync(
      session.path('mpd.conf'),
      `music_directory "${session.path('music')}"
       db_file "${session.path('database')}"
       pid_file "${session.path('pid')}"
       bind_to_address "127.0.0.1"
       port "${port}"
       zeroconf_enabled "no"
       connection_timeout "86400"
       audio_output {
         type "null"
         name "nowhere"
       }
      `,
    );
    const command = [cli, 'run', '--', built.server, '--no-daemon', '--stderr', session.path('mpd.conf')];
    server = await session.startCommand(process.execPath, command);
    client = await connected(port);
    assert.match(await client.line(), /^OK MPD/);
    // One update at a time: its queue is short. The one at start may have come before the file was seen.
    for (;;) {
      if ((await ask(client, 'stats'))['songs'] === '1') break;
      if (!(await ask(client, 'status'))['updating_db']) await ask(client, 'update');
    }
    await ask(client, 'add silence.wav');
    await ask(client, 'play');
    while ((await ask(client, 'status'))['state'] !== 'play');
    songId = (await ask(client, 'status'))['songid']!;
  });

  async function connected(port: number): Promise<LineClient> {
    for (;;) {
      try {
        return await LineClient.connect(port);
      } catch (error) {
        if (!server.running) throw error;
      }
    }
  }

  after(async () => {
    client?.close();
    built?.tree.restore();
    await session?.dispose();
  });

  const patch = (files: string[], outcome?: 'patched' | 'reverted') => session.patch(files, outcome);
  const elapsed = async () => Number((await ask(client, 'status'))['elapsed']);

  it('has not one function reported as changed over all its units', async () => {
    const files = databaseSources(built.database).filter((file) =>
      file.startsWith(join(built.tree.directory, 'src')),
    );
    const { units, compared } = await assertNothingFalselyChanged(files, session.options, progress);
    assert.ok(units > 200, `only ${units} units`);
    assert.ok(compared > 3000, `only ${compared} functions`);
  });

  it('takes an edit of a command while the music plays on', async () => {
    const before = await elapsed();
    const uptime = Number((await ask(client, 'stats'))['uptime']);
    const file = built.tree.edit(
      'src/Stats.cxx',
      'duration_cast<std::chrono::seconds>(uptime).count(),',
      'duration_cast<std::chrono::seconds>(uptime).count() + 1000000,',
    );
    await patch([file]);
    assert.ok(Number((await ask(client, 'stats'))['uptime']) >= uptime + 1_000_000);
    const status = await ask(client, 'status');
    assert.equal(status['state'], 'play');
    assert.equal(status['songid'], songId);
    assert.ok(Number(status['elapsed']) > before);
  });

  it('takes an edit of a virtual function that the output thread calls all the time', async () => {
    const file = built.tree.edit(
      'src/output/plugins/NullOutputPlugin.cxx',
      'if (sync) {\n\t\t\tif (!timer->IsStarted())',
      'static std::size_t total = 0;\n\t\tif (total == 0) fprintf(stderr, "patched output: %zu\\n", size);\n\t\ttotal += size;\n\t\tif (sync) {\n\t\t\tif (!timer->IsStarted())',
    );
    built.tree.edit(
      'src/output/plugins/NullOutputPlugin.cxx',
      '#include "../Timer.hxx"',
      '#include "../Timer.hxx"\n#include <cstdio>',
    );
    await patch([file]);
    assert.match(await server.errorLine(/^patched output/), /^patched output: [1-9]/);
    assert.equal((await ask(client, 'status'))['state'], 'play');
  });

  it('takes an edit of an inline function in a header', async () => {
    const version = Number((await ask(client, 'status'))['playlist']);
    const file = built.tree.edit(
      'src/queue/Playlist.hxx',
      'return queue.version;',
      'return queue.version + 100000;',
    );
    await patch([file]);
    assert.equal(Number((await ask(client, 'status'))['playlist']), version + 100_000);
  });

  it('takes an edit of a format that makes a new instance of a template', async () => {
    const file = built.tree.edit(
      'src/command/PlayerCommands.cxx',
      '"partition: {}\\n"',
      '"patched partition: {}\\n"',
    );
    await patch([file]);
    assert.equal((await ask(client, 'status'))['patched partition'], 'default');
  });

  it('is its old self when the edits are undone, and still plays the same song', async () => {
    const files = [
      'src/Stats.cxx',
      'src/output/plugins/NullOutputPlugin.cxx',
      'src/command/PlayerCommands.cxx',
    ];
    await patch(
      [...files, 'src/queue/Playlist.hxx'].map((name) => built.tree.undo(name)),
      'reverted',
    );
    const status = await ask(client, 'status');
    assert.equal(status['partition'], 'default');
    assert.ok(Number(status['playlist']) < 100_000);
    assert.equal(status['songid'], songId);
    assert.ok(Number((await ask(client, 'stats'))['uptime']) < 1_000_000);
    assert.equal(client.closed, false);
  });
});
