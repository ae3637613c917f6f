// A C server no one here wrote, built by clang: Debian's HAProxy, built by its own Makefile at -O2 -g, with four threads
// that serve HTTP and a command line on loopback.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/paths';
import { Session } from '../support/session';
import type { Program } from '../support/program';
import { cache, debianSource } from './debian_source';
import { assertExactlyRedirected } from './one_token';
import {
  answerOf,
  assertNothingFalselyChanged,
  databaseSources,
  freePort,
  SourceTree,
  withEngineOf,
} from './real_program';

const progress = (line: string) => console.log(`      haproxy: ${line}`);

function build(): { server: string; tree: SourceTree; database: string } {
  const source = debianSource('haproxy');
  const database = join(cache, 'haproxy', 'compile_commands.json');
  const server = join(source, 'haproxy');
  const tree = new SourceTree(source);
  if (!existsSync(server) || !existsSync(database)) {
    progress('building with its own Makefile and clang (a minute or two)');
    // Its version is that of the repository around it where it is not told to look for none.
    const make = ['make', '-j2', 'TARGET=linux-glibc', 'CC=clang', 'IGNOREGIT=1', 'haproxy'];
    execFileSync('bear', ['--output', database, '--', ...make], {
      cwd: source,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  return { server, tree, database };
}

describe('HAProxy, built by its own Makefile with clang', () => {
  let session: Session;
  let built: ReturnType<typeof build>;
  let server: Program;
  let commandPort: number;
  let webPort: number;

  before(async () => {
    built = build();
    session = new Session();
    commandPort = await freePort();
    do webPort = await freePort();
    while (webPort === commandPort);
    writeFileSync(
      session.path('haproxy.cfg'),
      `global
         stats socket ipv4@127.0.0.1:${commandPort} level admin
         nbthread 4
       defaults
         mode http
         timeout client 1d
         timeout server 1d
         timeout connect 10s
       frontend web
         bind 127.0.0.1:${webPort}
         http-request return status 404 content-type text/plain string "none" if { path /none }
         http-request return status 200 content-type text/plain lf-string "%[path,length] %[path,lower]"\n`,
    );
    const command = [cli, 'run', '--', built.server, '-db', '-f', session.path('haproxy.cfg')];
    server = await session.startCommand(process.execPath, command);
    while ((await ask('show version').catch(() => '')) === '') assert.ok(server.running, 'HAProxy ended');
  });

  after(async () => {
    built?.tree.restore();
    await session?.dispose();
  });

  const ask = (command: string) => answerOf(commandPort, `${command}\n`);
  const get = (path: string) => fetch(`http://127.0.0.1:${webPort}${path}`);
  const body = async (path: string) => (await get(path)).text();
  const connectionRate = async () => Number(/^ConnRate: (\d+)$/m.exec(await ask('show info'))![1]);

  it('has not one function reported as changed over all its units', async () => {
    const files = databaseSources(built.database);
    const { units, compared } = await assertNothingFalselyChanged(files, session.options, progress);
    assert.ok(units > 90, `only ${units} units`);
    assert.ok(compared > 2500, `only ${compared} functions`);
  });

  it('takes an edit of a string in a handler that is only known by a pointer in a table', async () => {
    assert.match(await ask('show version'), /^2\.6/);
    const file = built.tree.edit(
      'src/cli.c',
      'memprintf(&msg, "%s\\n", haproxy_version)',
      'memprintf(&msg, "patched %s\\n", haproxy_version)',
    );
    await session.patch([file]);
    assert.match(await ask('show version'), /^patched 2\.6/);
  });

  it('takes an edit of a case of a switch that clang made a table of', async () => {
    assert.equal((await get('/none')).statusText, 'Not Found');
    const file = built.tree.edit('src/http.c', 'return "Not Found";', 'return "Nowhere To Be Found";');
    await session.patch([file]);
    assert.equal((await get('/none')).statusText, 'Nowhere To Be Found');
    assert.equal((await get('/else')).statusText, 'OK');
  });

  it('takes new state that its four threads count in', async () => {
    assert.equal(await body('/Hello'), '6 /hello');
    const file = built.tree.edit(
      'src/sample.c',
      '\tint i = smp->data.u.str.data;\n\tsmp->data.u.sint = i;',
      '\tstatic int calls = 0;\n\tint i = smp->data.u.str.data;\n\tsmp->data.u.sint = i + 1000 * HA_ATOMIC_ADD_FETCH(&calls, 1);',
    );
    await session.patch([file]);
    for (const call of [1, 2, 3, 4, 5]) assert.equal(await body('/Hello'), `${call}006 /hello`);
  });

  it('takes an edit of an inline function in a header that nearly every unit includes', async () => {
    assert.ok((await connectionRate()) < 500_000);
    const file = built.tree.edit(
      'include/haproxy/freq_ctr.h',
      '{\n\treturn read_freq_ctr_period(ctr, MS_TO_TICKS(1000));\n}',
      '{\n\treturn read_freq_ctr_period(ctr, MS_TO_TICKS(1000)) + 500000;\n}',
    );
    await session.patch([file]);
    assert.ok((await connectionRate()) >= 500_000);
  });

  it('is its old self when the edits are undone', async () => {
    const files = ['src/cli.c', 'src/http.c', 'src/sample.c', 'include/haproxy/freq_ctr.h'];
    await session.patch(
      files.map((file) => built.tree.undo(file)),
      'reverted',
    );
    assert.match(await ask('show version'), /^2\.6/);
    assert.equal((await get('/none')).statusText, 'Not Found');
    assert.equal(await body('/Hello'), '6 /hello');
    assert.ok((await connectionRate()) < 500_000);
  });
  it('redirects the functions whose code an edit of one token changes, and no other', () =>
    withEngineOf(session, join(cache, 'haproxy'), (engine) =>
      assertExactlyRedirected(
        engine,
        server.pid,
        built,
        ['src/sample.c', 'src/cache.c', 'src/fcgi-app.c', 'src/uri_normalizer.c'],
        progress,
      ),
    ));
});
