// A C server no one here wrote: Debian's redis, built by its own Makefile at -O2 -g, with I/O and background threads
// and a client connected all the time.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { Session } from '../support/session';
import { editEveryFunction } from './every_function';
import { assertExactlyRedirected } from './one_token';
import { assertNothingFalselyChanged, databaseSources, LineClient, withEngineOf } from './real_program';
import { buildRedis, progress, type Redis, reply, startRedis } from './redis_server';

/** Commands that call much of the units that are edited, and leave no key behind. */
const REQUESTS = [
  ...['SET a 5', 'INCR a', 'INCRBY a 7', 'DECR a', 'INCRBYFLOAT a 0.5', 'APPEND a xyz', 'GETRANGE a 0 1'],
  ...['SETRANGE a 2 abc', 'STRLEN a', 'GETSET a 9', 'GETEX a PERSIST', 'MSET b 1 c 2', 'MSETNX b 1 d 2'],
  ...['SETNX d 7', 'SETEX e 100 x', 'PSETEX e 100000 y', 'LCS b c', 'OBJECT ENCODING a', 'OBJECT REFCOUNT b'],
  ...['DEL a b c d', 'GETDEL e', 'EXISTS a b c d e'],
];

describe('redis, built by its own Makefile', () => {
  let session: Session;
  let built: Redis;
  let server: Program;
  let client: LineClient;

  before(async () => {
    built = buildRedis('gcc');
    session = new Session();
    const started = await startRedis(session, built);
    server = started.program;
    client = await LineClient.connect(started.port);
    for (const key of ['one', 'two', 'three']) assert.equal(await reply(client, `SET ${key} 1`), 'OK');
  });

  after(async () => {
    client?.close();
    built?.tree.restore();
    await session?.dispose();
  });

  const patch = (files: string[], outcome?: 'patched' | 'reverted') =>
    session.patch([...files, '-p', built.directory], outcome);

  it('has not one function reported as changed over all its units', async () => {
    const files = databaseSources(built.database);
    const { units, compared } = await assertNothingFalselyChanged(files, session.options, progress);
    assert.ok(units > 90, `only ${units} units`);
    assert.ok(compared > 3000, `only ${compared} functions`);
  });

  it('takes an edit of a command that is only known by a pointer in a table on the heap', async () => {
    assert.equal(await reply(client, 'ECHO hello'), 'hello');
    const file = built.tree.edit(
      'src/server.c',
      'void echoCommand(client *c) {\n    addReplyBulk(c,c->argv[1]);',
      'void echoCommand(client *c) {\n    addReplyBulkSds(c, sdscatprintf(sdsempty(), "patched %s, %lld commands", (char *)c->argv[1]->ptr, server.stat_numcommands));',
    );
    await patch([file]);
    const answer = await reply(client, 'ECHO hello');
    assert.match(answer, /^patched hello, \d+ commands$/);
    assert.ok(Number(answer.split(' ')[2]) >= 4);
  });

  it('takes an edit of arithmetic in a function shared by four commands', async () => {
    assert.equal(await reply(client, 'INCR one'), '2');
    const file = built.tree.edit(
      'src/t_string.c',
      '    value += incr;\n\n    if (o &&',
      '    value += incr * 10;\n\n    if (o &&',
    );
    await patch([file]);
    assert.equal(await reply(client, 'INCR one'), '12');
    assert.equal(await reply(client, 'DECRBY one 2'), '-8');
  });

  it('takes new state that a timer counts and a command in another file reads', async () => {
    const server_c = built.tree.edit(
      'src/server.c',
      'int serverCron(struct',
      'long long cron_runs = 500;\nint serverCron(struct',
    );
    built.tree.edit(
      'src/server.c',
      '    if (server.watchdog_period) watchdogScheduleSignal(server.watchdog_period);',
      '    cron_runs++;\n    if (server.watchdog_period) watchdogScheduleSignal(server.watchdog_period);',
    );
    const db_c = built.tree.edit(
      'src/db.c',
      'void dbsizeCommand',
      'extern long long cron_runs;\nvoid dbsizeCommand',
    );
    built.tree.edit(
      'src/db.c',
      'addReplyLongLong(c,dictSize(c->db->dict));',
      'addReplyLongLong(c,cron_runs * 1000 + dictSize(c->db->dict));',
    );
    await patch([server_c, db_c]);
    const first = Number(await reply(client, 'DBSIZE'));
    assert.equal(first % 1000, 3, 'the three keys are still there');
    assert.ok(first >= 500_000);
    let later = first;
    while (later === first) later = Number(await reply(client, 'DBSIZE'));
    assert.ok(later > first, 'the timer runs the new code');
  });

  it('is its old self when the edits are undone, with everything it was told', async () => {
    const files = ['src/server.c', 'src/t_string.c', 'src/db.c'].map((file) => built.tree.undo(file));
    await patch(files, 'reverted');
    assert.equal(await reply(client, 'ECHO hello'), 'hello');
    assert.equal(await reply(client, 'INCR one'), '-7');
    assert.equal(await reply(client, 'DBSIZE'), '3');
    assert.equal(client.closed, false);
  });

  it('answers as it did while every function of some units is edited, and after each undo', async () => {
    const answers = async (): Promise<string[]> => {
      const all: string[] = [];
      for (const request of REQUESTS) all.push(await reply(client, request));
      return all;
    };
    const before = await answers();
    const isRight = async () => assert.deepEqual(await answers(), before);
    await withEngineOf(session, built.directory, async (engine) => {
      for (const name of ['sds.c', 't_string.c', 'object.c']) {
        const file = built.tree.toEdit(`src/${name}`);
        const { patched, unchanged, refused, firstLight } = await editEveryFunction(
          engine,
          server.pid,
          file,
          isRight,
        );
        const lights = [...firstLight].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
        progress(`${name}: ${patched} functions edited, first light: ${lights}`);
        assert.deepEqual(refused, []);
        for (const declaration of unchanged)
          assert.match(declaration, /\bsdsTest/, 'only compiled for its tests');
        assert.ok(patched > 20, `only ${patched} functions`);
      }
    });
  });

  it('redirects the functions whose code an edit of one token changes, and no other', () =>
    withEngineOf(session, built.directory, (engine) =>
      assertExactlyRedirected(
        engine,
        server.pid,
        built,
        ['src/t_string.c', 'src/bitops.c', 'src/geo.c', 'src/t_zset.c'],
        progress,
      ),
    ));
});
