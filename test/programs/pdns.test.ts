// A C++17 server of over 100,000 lines that no one here wrote: Debian's PowerDNS, built by its own configure and make
// at -O2 -g, that answers for a zone on loopback with its threads.
import { strict as assert } from 'node:assert';
import { Resolver } from 'node:dns/promises';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { Session } from '../support/session';
import { buildPowerDns, configurePowerDns, type PowerDns } from './pdns_server';
import { answerOf, assertNothingFalselyChanged, databaseSources, freePort } from './real_program';

const progress = (text: string) => console.log(`      pdns: ${text}`);

describe('PowerDNS, built by its own configure and make', () => {
  let session: Session;
  let built: PowerDns;
  let server: Program;
  let controlPort: number;
  let resolver: Resolver;

  before(async () => {
    built = buildPowerDns(progress);
    session = new Session();
    controlPort = await freePort();
    let port = controlPort;
    while (port === controlPort) port = await freePort();
    const options = configurePowerDns(session.directory, port, controlPort);
    server = await session.startCommand(process.execPath, [cli, 'run', '--', built.server, ...options]);
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
