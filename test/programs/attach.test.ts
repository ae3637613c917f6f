// Servers of the distribution, as they come and under load, are attached to: every one of their processes, and no
// request fails.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { attach, type Attached } from '../support/attach';
import { inSession, type Session } from '../support/session';
import { until } from '../support/until';
import { freePort } from './real_program';

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function report(name: string, results: readonly Attached[]): void {
  for (const { pid, activity, pause, total } of results)
    console.log(`      ${name} ${pid}: ${activity}, pause ${pause} µs, all ${total} µs`);
}

const startServer = (session: Session, command: string, ...args: string[]) =>
  session.startCommand(command, args);

/** Requests over connections that stay open, until `stop`. Returns how many were answered and how many were not. */
function load(port: number): { answered: () => number; stop: () => Promise<{ good: number; bad: number }> } {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const counts = { good: 0, bad: 0 };
  let running = true;
  const request = (): Promise<void> =>
    new Promise((resolve) => {
      get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
        response.resume().on('end', () => {
          if (response.statusCode === 200) counts.good++;
          else counts.bad++;
          resolve();
        });
      }).on('error', () => {
        counts.bad++;
        resolve();
      });
    });
  const clients = Array.from({ length: 16 }, async () => {
    while (running) await request();
  });
  return {
    answered: () => counts.good,
    async stop() {
      running = false;
      await Promise.all(clients);
      agent.destroy();
      return counts;
    },
  };
}

describe('attaching to servers under load', () => {
  it(
    'fails no request of redis',
    inSession(async (session) => {
      const port = String(await freePort());
      const server = await startServer(
        session,
        'redis-server',
        ...['--port', port, '--bind', '127.0.0.1', '--save', ''],
      );
      await server.line(/Ready to accept connections/);
      const client = await session.startCommand('redis-benchmark', [
        ...['-p', port, '-c', '20', '-n', '20000', '-t', 'set,get,lpush,lpop', '-q', '--csv'],
      ]);
      await until(
        () => readdirSync(`/proc/${server.pid}/fd`).length,
        (open) => open > 20,
      );
      report('redis-server', [await attach(server.pid)]);
      assert.equal(await client.exit(), 0, client.errorLines.join('\n'));
      assert.deepEqual(client.errorLines, []);
      assert.deepEqual(
        client.lines.map((line) => line.split(',')[0]),
        ['"test"', '"SET"', '"GET"', '"LPUSH"', '"LPOP"'],
      );
      assert.ok(server.running);
    }),
  );

  it(
    'fails no request of nginx, master and workers alike',
    inSession(async (session) => {
      const port = await freePort();
      session.write('html/index.html', 'hello\n');
      session.write(
        'nginx.conf',
        `daemon off; worker_processes 2; pid ${session.path('nginx.pid')}; error_log stderr notice;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 128; }
http {
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  server { listen 127.0.0.1:${port}; root ${session.path('html')}; }
}
`,
      );
      const server = await startServer(
        session,
        'nginx',
        ...['-p', session.directory, '-c', session.path('nginx.conf')],
      );
      const workers = await until(
        () => childrenOf(server.pid),
        (pids) => pids.length === 2,
      );
      const client = load(port);
      const results: Attached[] = [];
      for (const pid of [server.pid, ...workers]) {
        const before = client.answered();
        await until(client.answered, (now) => now > before + 200);
        results.push(await attach(pid));
      }
      const before = client.answered();
      await until(client.answered, (now) => now > before + 2000);
      const { good, bad } = await client.stop();
      report('nginx', results);
      console.log(`      ${good} requests answered, ${bad} not`);
      assert.equal(bad, 0);
      process.kill(server.pid, 'SIGQUIT');
      assert.equal(await server.exit(), 0);
    }),
  );

  it(
    'fails no request of a server in C++ with a thread for each connection, nor does the patch that follows',
    inSession(async (session) => {
      session.copySample('http_server');
      const sources = ['server.cc', 'greeting.cc'];
      await session.build({ sources, flags: ['-O2', '-g', '-pthread'] });
      const server = await startServer(session, session.path('program'));
      const port = Number(await server.line());
      const client = load(port);
      await until(client.answered, (now) => now > 500);
      report('the server', [await attach(server.pid)]);
      const before = client.answered();
      await until(client.answered, (now) => now > before + 500);
      session.edit('greeting.cc', 'original', 'patched');
      await session.patch(['greeting.cc', '--pid', String(server.pid)]);
      const patched = client.answered();
      await until(client.answered, (now) => now > patched + 500);
      const { good, bad } = await client.stop();
      console.log(`      ${good} requests answered, ${bad} not`);
      assert.equal(bad, 0);
      assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /^patched \d+\n$/);
      assert.ok(server.running);
    }),
  );
});
