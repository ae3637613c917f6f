// A C++17 server of over 100,000 lines that no one here wrote: Debian's PowerDNS, built by its own configure and make
// at -O2 -g, that answers for a zone on loopback with its threads.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { Session } from '../support/session';
import { cache, debianSource } from './debian_source';
import { answerOf, assertNothingFalselyChanged, databaseSources, freePort, SourceTree } from './real_program';

const progress = (text: string) => console.log(`      pdns: ${text}`);

function build(): { server: string; tree: SourceTree; database: string } {
  const source = debianSource('pdns');
  const directory = join(cache, 'pdns', 'build');
  const database = join(cache, 'pdns', 'compile_commands.json');
  const server = join(directory, 'pdns', 'pdns_server');
  const tree = new SourceTree(source);
  if (!existsSync(server) || !existsSync(database)) {
    progress('building with its own configure and make (some minutes)');
    mkdirSync(directory, { recursive: true });
    const run = (command: string, args: string[]) =>
      execFileSync(command, args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
    run(join(source, 'configure'), [
      '-q',
      // As Debian does; without, two units have the time of their compilation in them.
      '--enable-reproducible',
      '--with-modules=bind',
      '--with-dynmodules=',
      '--with-lua=lua5.3',
      '--disable-lua-records',
      '--without-libsodium',
      '--without-lmdb',
      'CFLAGS=-O2 -g',
      'CXXFLAGS=-O2 -g',
    ]);
    // Its own rule for this file works only where sources and objects share a directory.
    const pages = execFileSync('./incfiles', ['api-swagger.yaml', 'api-swagger.json'], {
      cwd: join(source, 'pdns'),
    });
    writeFileSync(join(directory, 'pdns', 'apidocfiles.h'), pages);
    const make = 'make -s -j2 -C ext && make -s -j2 -C modules && make -s -j2 -C pdns pdns_server';
    run('bear', ['--output', database, '--', 'sh', '-c', make]);
  }
  return { server, tree, database };
}

describe('PowerDNS, built by its own configure and make', () => {
  let session: Session;
  let built: ReturnType<typeof build>;
  let server: Program;
  let controlPort: number;
  let resolver: Resolver;

  before(async () => {
    built = build();
    session = new Session();
    controlPort = await freePort();
    let port = controlPort;
    while (port === controlPort) port = await freePort();
    const zone = session.write(
      'example.org.zone',
      '$TTL 1000\n@ IN SOA ns.example.org. admin.example.org. 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\nwww IN A 192.0.2.1\n',
    );
    session.write('named.conf', `zone "example.org" { type master; file "${zone}"; };\n`);
    session.write('pdns.conf', '');
    server = await session.startCommand(process.execPath, [
      ...[
        cli,
        'run',
        '--',
        built.server,
        `--config-dir=${session.directory}`,
        '--daemon=no',
        '--guardian=no',
      ],
      ...[
        '--launch=bind',
        `--bind-config=${session.path('named.conf')}`,
        `--socket-dir=${session.directory}`,
      ],
      ...['--local-address=127.0.0.1', `--local-port=${port}`, '--tcp-control-address=127.0.0.1'],
      ...['--tcp-control-secret=secret', `--tcp-control-port=${controlPort}`],
      ...['--cache-ttl=0', '--query-cache-ttl=0'],
    ]);
    resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${port}`]);
    while ((await addresses().catch(() => [])).length === 0) assert.ok(server.running, 'PowerDNS ended');
  });

  after(async () => {
    built?.tree.restore();
    await session?.dispose();
  });

  const addresses = () => resolver.resolve4('www.example.org', { ttl: true });

  /** The answer of its control channel. */
  const ask = (command: string) => answerOf(controlPort, `secret\n${command}\n`);

  it('has not one function reported as changed over all its units', async () => {
    const files = databaseSources(built.database);
    const { units, compared } = await assertNothingFalselyChanged(files, session.options, progress);
    assert.ok(units > 60, `only ${units} units`);
    assert.ok(compared > 7000, `only ${compared} functions`);
  });

  it('takes an edit of a string in a handler that is only known by a pointer in a map', async () => {
    assert.equal(await ask('RPING'), 'PONG');
    const file = built.tree.edit('pdns/dynhandler.cc', 'return "PONG";', 'return "patched PONG";');
    await session.patch([file]);
    assert.equal(await ask('RPING'), 'patched PONG');
  });

  it('takes an edit of a virtual function of a backend', async () => {
    assert.deepEqual(await addresses(), [{ address: '192.0.2.1', ttl: 1000 }]);
    const file = built.tree.edit(
      'modules/bindbackend/bindbackend2.cc',
      '\', content: \'" << r.content << "\'" << endl;\n  return true;',
      '\', content: \'" << r.content << "\'" << endl;\n  static int answers = 0;\n  r.ttl += 100 * ++answers;\n  return true;',
    );
    await session.patch([file]);
    const [first] = await addresses();
    const [second] = await addresses();
    assert.ok(first!.ttl > 1000 && second!.ttl > first!.ttl);
  });

  it('takes new state with a constructor and instances of templates that the unit did not have', async () => {
    assert.doesNotMatch(await ask('UPTIME'), /asked/);
    const file = built.tree.edit(
      'pdns/dynhandler.cc',
      'os<<humanDuration(time(nullptr)-g_starttime);',
      'static std::map<std::string, std::vector<time_t>> asked; asked[parts[0]].push_back(time(nullptr));\n' +
        '  os << parts[0] << " asked " << asked[parts[0]].size() << " times";',
    );
    await session.patch([file]);
    assert.equal(await ask('UPTIME'), 'UPTIME asked 1 times');
    assert.equal(await ask('UPTIME'), 'UPTIME asked 2 times');
    assert.equal(await ask('RPING'), 'patched PONG');
  });

  it('is its old self when the edits are undone', async () => {
    const files = ['pdns/dynhandler.cc', 'modules/bindbackend/bindbackend2.cc'];
    await session.patch(
      files.map((file) => built.tree.undo(file)),
      'reverted',
    );
    assert.equal(await ask('RPING'), 'PONG');
    assert.deepEqual(await addresses(), [{ address: '192.0.2.1', ttl: 1000 }]);
    assert.doesNotMatch(await ask('UPTIME'), /asked/);
  });
});
