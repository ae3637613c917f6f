// `hot-patch mcp` as a coding agent uses it: the client of the protocol's own SDK, the server as it is started, and a real
// process whose threads and answers tell what came of it.
import { strict as assert } from 'node:assert';
import { symlinkSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ListRootsRequestSchema, type Progress } from '@modelcontextprotocol/sdk/types.js';
import type { CrashReport, PatchableProcess, ThreadReport } from '../../extension/engine/model/result';
import { cli } from '../support/paths';
import { type Session, Unit, useSession } from '../support/session';
import { until } from '../support/until';

const SOURCE = `struct Shape { long width, height; };
static Shape shape = {2, 3};
static long *volatile nowhere;
__attribute__((noinline)) long area(long n) { return shape.width * n; }
long value(long n) { return n == 99 ? *nowhere : area(n) + shape.height; }
`;

interface Told {
  code: string;
  message: string;
  whatToDo: string;
  line?: number;
}
interface Verified {
  pid: number;
  function: string;
  version: number;
  verified: string;
}
interface Document {
  outcome?: string;
  verified?: Verified[];
  refused?: Told[];
  changed?: { name: string }[];
  processes?: (Partial<PatchableProcess> & { verified?: Verified[] })[];
  reports?: { verdict: string; changed: { name: string }[]; refused: Told[] }[];
  threads?: ThreadReport[];
  crash?: CrashReport | null;
}
interface Reply {
  text: string;
  isError: boolean;
  document: Document;
}
type RequestOptions = Parameters<Client['callTool']>[2];

/** A server in the session's directory, and its client. @param roots directories that the client names */
async function connect(session: Session, roots?: () => string[]): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: roots ? { roots: {} } : {} });
  if (roots)
    client.setRequestHandler(ListRootsRequestSchema, () => ({
      roots: roots().map((root) => ({ uri: pathToFileURL(root).href })),
    }));
  const { cwd, env } = session.options;
  const environment = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [cli, 'mcp'], cwd, env: environment }),
  );
  return client;
}

async function call(
  client: Client,
  name: string,
  words: Record<string, unknown> = {},
  options?: RequestOptions,
): Promise<Reply> {
  const reply = await client.callTool({ name, arguments: words }, undefined, options);
  const [content] = reply.content as { type: string; text: string }[];
  return {
    text: content!.text,
    isError: reply.isError === true,
    document: reply.structuredContent ?? {},
  };
}

describe('a coding agent', () => {
  let unit: Unit;
  let client: Client;
  const world = useSession(async (session) => {
    unit = await Unit.start(session, SOURCE, { flags: ['-O0', '-g'] });
    client = await connect(session);
  });
  after(() => client.close());
  beforeEach(() => void world.session.write('unit.cc', SOURCE));
  const files = ['unit.cc'];
  /** Other tests have processes beside this one. */
  const pids = () => [unit.program.pid];

  it('finds tools that say what they take', async () => {
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['processes', 'check', 'dry_run', 'patch', 'status', 'revert', 'threads', 'last_crash'],
    );
    for (const { name, description, inputSchema } of tools) {
      assert.ok(description, name);
      for (const [word, schema] of Object.entries(inputSchema.properties ?? {}))
        assert.ok((schema as { description?: string }).description, `${name} ${word}`);
    }
    assert.deepEqual(
      tools.filter(({ annotations }) => !annotations?.readOnlyHint).map(({ name }) => name),
      ['patch', 'revert'],
    );
  });

  it('checks, patches, looks at what runs, and reverts', async () => {
    const { pid } = unit.program;
    const found = await call(client, 'processes');
    assert.ok(found.document.processes?.some((process) => process.pid === pid && process.state === 'ready'));
    assert.equal(await unit.value(1), 5);

    world.session.edit('unit.cc', 'shape.width * n', 'shape.width * n * 10');
    const checked = await call(client, 'check', { files });
    assert.equal(checked.document.reports?.[0]?.verdict, 'edited');
    assert.deepEqual(
      checked.document.reports[0].changed.map(({ name }) => name),
      ['area(long)'],
    );
    const dry = await call(client, 'dry_run', { files });
    assert.equal(dry.document.outcome, 'would-patch');
    assert.equal(await unit.value(1), 5);

    const patched = await call(client, 'patch', { files: [world.session.path('unit.cc')] });
    assert.ok(!patched.isError, patched.text);
    const [area] = patched.document.verified!;
    assert.deepEqual([area!.pid, area!.function, area!.version], [pid, 'area(long)', 1]);
    assert.equal(area!.verified, 'read from memory');
    assert.match(patched.text, /patched: 1 function in process \d+ .*verified in memory/s);
    assert.equal(await unit.value(1), 23);

    const status = await call(client, 'status', { pids: [pid] });
    assert.deepEqual(status.document.processes?.[0]?.verified?.[0], area);

    const reverted = await call(client, 'revert', { functions: ['area'], pids: pids() });
    assert.equal(reverted.document.outcome, 'reverted');
    assert.equal(reverted.document.verified?.[0]?.version, 0);
    assert.equal(await unit.value(1), 5);
  });

  it('is refused an edit that does not fit the data, with the line and what to do', async () => {
    world.session.edit('unit.cc', 'long width, height;', 'long depth, width, height;');
    for (const tool of ['dry_run', 'patch']) {
      const refused = await call(client, tool, { files });
      assert.ok(refused.isError);
      assert.equal(refused.document.outcome, 'refused');
      const [problem] = refused.document.refused!;
      assert.equal(problem!.code, 'layout-changed');
      assert.ok(problem!.line && problem!.whatToDo, refused.text);
    }
    assert.equal(await unit.value(1), 5);
    world.session.write('unit.cc', 'this is no program\n');
    const failed = await call(client, 'patch', { files });
    assert.equal(failed.document.refused?.[0]?.code, 'compile-failed');
  });

  it('is told where the threads are', async () => {
    const { document, text } = await call(client, 'threads', { pid: unit.program.pid });
    const main = document.threads!.find(({ tid }) => tid === unit.program.pid)!;
    assert.ok(document.threads!.some(({ isRuntime }) => isRuntime));
    assert.equal(main.state, 'waiting', text);
    assert.ok(
      main.frames.some(({ function: name }) => /read/.test(name ?? '')),
      text,
    );
  });

  it('is told which word of a request is wrong', async () => {
    const wrong: [string, object, RegExp][] = [
      ['patch', {}, /files/],
      ['patch', { files: [] }, /files/],
      ['patch', { files, pid: 'all of them' }, /pid/],
      ['status', { pids: [-1] }, /pids/],
      ['revert', { version: 1 }, /functions/],
      ['threads', { pid: 2 ** 22 + 1 }, /There is no process/],
    ];
    for (const [tool, words, said] of wrong) {
      const reply = await call(client, tool, { ...words });
      assert.ok(reply.isError, tool);
      assert.match(reply.text, said);
    }
    const missing = await call(client, 'check', { files: ['nowhere.cc'] });
    assert.equal(missing.document.reports?.[0]?.refused[0]?.code, 'file-not-found');
  });

  it('cannot have a file patched that is outside of its directory, not by a link either', async () => {
    symlinkSync('/etc/passwd', world.session.path('link.cc'));
    for (const file of ['/etc/passwd', '../unit.cc', 'link.cc'])
      for (const tool of ['check', 'dry_run', 'patch']) {
        const { document } = await call(client, tool, { files: [file] });
        assert.deepEqual(
          document.refused?.map(({ code }) => code),
          ['outside-of-roots'],
          `${tool} ${file}`,
        );
      }
  });

  it('may have what is under the roots that its client names, and nothing else', async () => {
    let roots = [world.session.path('tmp')];
    const other = await connect(world.session, () => roots);
    try {
      const refused = await call(other, 'check', { files: [world.session.path('unit.cc')] });
      assert.equal(refused.document.refused?.[0]?.code, 'outside-of-roots');
      roots = [world.session.directory];
      const checked = await call(other, 'check', { files });
      assert.equal(checked.document.reports?.[0]?.verdict, 'ready', checked.text);
    } finally {
      await other.close();
    }
  });

  it('ends when its client is gone', async () => {
    const server = await world.session.startCommand(process.execPath, [cli, 'mcp']);
    server.endInput();
    assert.equal(await server.exit(), 0);
  });

  it('withdraws a patch that waits for a process that is stopped', async () => {
    const { pid } = unit.program;
    world.session.edit('unit.cc', 'shape.width * n', 'shape.width * n * 7');
    process.kill(pid, 'SIGSTOP');
    const withdrawn = new AbortController();
    const steps: string[] = [];
    const patching = call(
      client,
      'patch',
      { files },
      {
        signal: withdrawn.signal,
        onprogress: ({ message = '' }: Progress) => {
          steps.push(message);
          if (message === 'wait-for-continue') withdrawn.abort();
        },
      },
    );
    await assert.rejects(patching);
    assert.equal(steps.at(-1), 'wait-for-continue');
    // In its turn: what was withdrawn has come to its end.
    await call(client, 'check', { files, pids: pids() });
    process.kill(pid, 'SIGCONT');
    world.session.write('unit.cc', SOURCE);
    assert.equal((await call(client, 'patch', { files })).document.outcome, 'unchanged');
    assert.equal(await unit.value(1), 5);
  });

  it('is told how the process crashed, and that it is gone', async () => {
    const { pid } = unit.program;
    world.session.edit('unit.cc', '*nowhere :', '*nowhere + 1 :');
    await call(client, 'patch', { files });
    unit.program.send('99');
    await unit.program.exit();
    const crash = await until(
      async () => (await call(client, 'last_crash', { pid })).document.crash,
      (found) => Boolean(found),
    );
    assert.equal(crash!.signal, 'SIGSEGV');
    assert.equal(crash!.frames[0]!.function, 'value(long)');
    assert.equal(crash!.frames[0]!.version, 1);
    const { document } = await call(client, 'patch', { files });
    assert.equal(document.refused?.[0]?.code, 'no-process');
    const status = await call(client, 'status', { pids: [pid] });
    assert.equal(status.document.refused?.[0]?.code, 'process-gone');
  });
});
