// Units of real programs, from their sources in the distribution (test/programs), for `npm run bench`: SQLite in one file
// beside a small program that queries it; and servers that their own makefiles build, asked over a socket.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { generated } from './bench_generated.mjs';
import { linesOf, must, start, workspace } from './bench_world.mjs';
import { root } from './setup.mjs';

/** Bundled with the tests. */
const programs = () => createRequire(import.meta.url)(join(root, 'dist/test/programs/programs.bench.js'));

/** The text with one part replaced, which must be there once. */
function replaced(text, from, to) {
  if (text.split(from).length !== 2) throw new Error(`there is not one: ${from}`);
  return text.replace(from, () => to);
}

const QUERY = `#include "sqlite3.h"
#include <stdlib.h>
long value(long n) {
  static sqlite3 *database;
  static sqlite3_stmt *statement;
  if (!database && (sqlite3_open(":memory:", &database) != SQLITE_OK ||
                    sqlite3_prepare_v2(database, "SELECT abs(?)", -1, &statement, NULL) != SQLITE_OK))
    abort();
  sqlite3_bind_int64(statement, 1, n);
  if (sqlite3_step(statement) != SQLITE_ROW) abort();
  long result = (long)sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return result;
}
`;

/** What SQL calls `abs` is edited. */
export function sqlite(title, build) {
  const read = (name) => readFileSync(join(programs().buildSqlite(), name), 'utf8');
  const text = () =>
    replaced(
      read('sqlite3.c'),
      'sqlite3_result_int64(context, iVal);\n      break;',
      'sqlite3_result_int64(context, iVal * 1000 + 0);\n      break;',
    );
  const more = () => ({ 'query.c': QUERY, 'sqlite3.h': read('sqlite3.h') });
  return generated(title, text, { ...build, more, libraries: ['-lm', '-lpthread', '-ldl'] });
}

/** The command of a unit of a database, writing elsewhere. */
function bareCompile(database, file) {
  const commands = JSON.parse(readFileSync(database, 'utf8'));
  const command = commands.find((one) => resolve(one.directory, one.file) === file);
  if (!command) throw new Error(`${database} has no command of ${file}`);
  const args = [...command.arguments];
  args[args.indexOf('-o') + 1] = join(workspace, 'bare.o');
  const mf = args.indexOf('-MF');
  if (mf >= 0) args[mf + 1] = join(workspace, 'bare.d');
  return () => must(args[0], args.slice(1), command.directory);
}

/** A unit of a server in its own tree. An edit puts the number of the round into the text that is answered. */
function inTree({ database, file, from, to, answer, start: startServer }) {
  const original = readFileSync(file, 'utf8');
  return {
    directory: dirname(database),
    file,
    original,
    text: (round) => replaced(original, from, to(round)),
    answer,
    compile: bareCompile(database, file),
    start: startServer,
  };
}

const release = ['-O2', '-g'];

/** What a client calls ECHO is edited. */
export const redis = (title, limits) => ({
  title,
  limits,
  compiler: 'gcc',
  flags: release,
  prepare: prepareRedis,
});

function prepareRedis() {
  const { buildRedis, freePort, LineClient, reply } = programs();
  const { server, tree, database } = buildRedis('gcc');
  return inTree({
    database,
    file: tree.toEdit('src/server.c'),
    from: 'void echoCommand(client *c) {\n    addReplyBulk(c,c->argv[1]);',
    to: (round) =>
      `void echoCommand(client *c) {\n    addReplyBulkSds(c, sdscatprintf(sdsempty(), "%s in round ${round}", (char *)c->argv[1]->ptr));`,
    answer: (round) => `hello in round ${round}`,
    async start(environment) {
      const port = await freePort();
      const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', workspace];
      const { child, stop } = start(server, options, {
        env: environment,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await linesOf(child.stdout).next(/Ready to accept connections/);
      const client = await LineClient.connect(port);
      return {
        pid: child.pid,
        ask: () => reply(client, 'ECHO hello'),
        async stop() {
          client.close();
          await stop();
        },
      };
    },
  });
}

/** What the control channel answers to RPING is edited. It is built by test:programs only: that takes too long here. */
export const dnsServer = (title, limits) => ({
  title,
  limits,
  compiler: 'g++',
  flags: release,
  isThere: () => programs().isPowerDnsBuilt(),
  prepare: prepareDnsServer,
});

async function prepareDnsServer() {
  const { answerOf, buildPowerDns, configurePowerDns, freePort } = programs();
  const { server, tree, database } = buildPowerDns(console.error);
  return inTree({
    database,
    file: tree.toEdit('pdns/dynhandler.cc'),
    from: 'return "PONG";',
    to: (round) => `return "PONG in round ${round}";`,
    answer: (round) => `PONG in round ${round}`,
    async start(environment) {
      const place = join(workspace, 'dns');
      mkdirSync(place, { recursive: true });
      const [port, controlPort] = [await freePort(), await freePort()];
      const options = configurePowerDns(place, port, controlPort);
      const { child, stop } = start(server, options, { env: environment, stdio: 'ignore' });
      const ask = () => answerOf(controlPort, 'secret\nRPING\n');
      while ((await ask().catch(() => '')) !== 'PONG')
        if (child.exitCode !== null) throw new Error('PowerDNS ended');
      return { pid: child.pid, ask, stop };
    },
  });
}
