// `node scripts/agents_transcript.mjs`: writes docs/AGENTS.md, the record of a coding loop against the sample server. What an
// agent would decide is written down here; every call and every answer is made while it runs, by the protocol's own client
// and the server as it is started. Works on a copy of the sample, and stops what it started.
import { spawn, spawnSync } from 'node:child_process';
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

setUp([...BUILD_COMMANDS, 'cmake']);

const HEAD = `# A coding agent and a running server

An agent that edits C or C++ has a shorter way to the truth than build, restart, and bringing the program back to where it was: the program runs on, with its clients and its data, and answers with the new code. \`hot-patch mcp\` serves this over the [Model Context Protocol](https://modelcontextprotocol.io) on standard input and output ([README](../README.md#for-coding-agents), [what an agent may do](SECURITY.md#coding-agents)).

| tool | |
|---|---|
| \`processes\` | what can be patched or attached to, and why others cannot |
| \`check\` | what would a save do: which functions differ, what would be refused, does the compile command fit |
| \`dry_run\` | \`patch\` up to the finished patch file, which is not loaded |
| \`patch\` | compile, and redirect what differs: all of it or nothing |
| \`status\` | patched functions, their versions, whether they were read back from memory, threads in old code |
| \`revert\` | the original code, or an earlier version |
| \`threads\` | where is everybody: the functions that each thread is in; none is stopped for it |
| \`last_crash\` | signal, cause and backtrace of a process that was seen before, with the versions of patched functions |

An answer has a short text, which is shown below, and the same as data: \`verified\` (function, version, address, bytes, and who read them back from memory), \`refused\` (code, message, file, line, \`whatToDo\`), \`changed\`, \`compilerMessages\`. A call that was refused or failed is marked as an error, and the process runs what it ran before. A call can be cancelled; steps are reported as progress.

## A loop, as it was recorded

Written by \`node scripts/agents_transcript.mjs\`: the sample server (\`test/samples/service\`), built by CMake with \`-O2 -g\` and started as always, with a client connected all the time. Only the directory was given another name, and times were left out ([PERFORMANCE.md](PERFORMANCE.md) has those of a machine that is measured).
`;

const project = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-agent-')));
const env = { ...process.env, XDG_RUNTIME_DIR: join(project, 'run'), XDG_CACHE_HOME: join(project, 'cache') };
let page = HEAD;
const say = (text) => (page += `\n${text.replaceAll(project, '/project')}\n`);
const block = (language, text) => say(`\`\`\`${language}\n${text.trimEnd()}\n\`\`\``);
const must = (command, ...args) => {
  const { status, stderr } = spawnSync(command, args, { cwd: project, env, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
};

mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
cpSync(join(root, 'test', 'samples', 'service'), project, { recursive: true });
must('cmake', '-S', '.', '-B', 'build');
must('cmake', '--build', 'build');
const server = spawn(join(project, 'build', 'service'), { env, stdio: ['ignore', 'pipe', 'inherit'] });
const client = new Client({ name: 'transcript', version: '1' });
try {
  await record();
  writeFileSync(join(root, 'docs', 'AGENTS.md'), page);
} finally {
  await client.close();
  if (server.exitCode === null && server.signalCode === null) server.kill('SIGKILL');
  rmSync(project, { recursive: true, force: true, maxRetries: 5 });
}

async function record() {
  const [line] = await once(createInterface({ input: server.stdout }), 'line');
  const socket = createConnection({ host: '127.0.0.1', port: Number(/:(\d+),/.exec(line)[1]) });
  await once(socket, 'connect');
  const answers = createInterface({ input: socket })[Symbol.asyncIterator]();
  /** A request of the connected client, and what the server answers. */
  const observe = async (request, expected) => {
    socket.write(`${request}\n`);
    const { value } = await answers.next();
    block('console', `> ${request}\n${value}`);
    assert.match(value, expected);
  };
  const source = join(project, 'src', 'shop.cc');
  const edit = (from, to) => {
    const text = readFileSync(source, 'utf8');
    assert.ok(text.includes(from), from);
    writeFileSync(source, text.replace(from, to));
    const marked = (mark, lines) =>
      lines
        .trimEnd()
        .split('\n')
        .map((line) => mark + line)
        .join('\n');
    block('diff', `${marked('-', from)}\n${marked('+', to)}`);
  };
  /** @param code of the refusal that is expected */
  const call = async (name, words = {}, code = undefined) => {
    const { content, structuredContent, isError } = await client.callTool({ name, arguments: words });
    block('', `${name} ${JSON.stringify(words)}\n\n${content[0].text.replaceAll(/, \d+ ms \(.*\)$/gm, '')}`);
    assert.equal(structuredContent.refused?.[0]?.code, code, content[0].text);
    assert.equal(isError === true, code !== undefined);
    return structuredContent;
  };
  const files = ['src/shop.cc'];
  await client.connect(
    new StdioClientTransport({
      ...{ command: process.execPath, args: [join(root, 'dist', 'cli.js'), 'mcp'], cwd: project, env },
    }),
  );

  say('**The task:** who orders ten items or more pays a tenth less. Before the edit the server says:');
  await observe('order ada 10', /for 25,/);
  say('**Edit, and ask what a save would do.** The process has no runtime yet; the patch brings it there.');
  const discount = '  const double discount = count > 10 ? 0.9 : 1;\n';
  edit(
    '  return each * static_cast<double>(count);',
    `${discount}  return each * discount * static_cast<double>(count);`,
  );
  await call('dry_run', { files, attach: true });
  await call('patch', { files });
  say('**Observe.** Ten items still cost 25: the edit is live, and wrong.');
  await observe('order ada 10', /for 25,/);
  say(
    '**Correct.** The next save replaces the version before it; the connection is the same, and so are the data.',
  );
  edit('count > 10', 'count >= 10');
  const patched = await call('patch', { files });
  assert.ok(patched.verified.every(({ verified }) => verified === 'read from memory'));
  await observe('order ada 10', /order 3: 10 for 22.5, ada has 30/);

  say(
    '**The next task:** say how much a customer has spent. The obvious edit is refused, because customers live in memory:',
  );
  const visits = '  long visits = 0;\n';
  edit(visits, `${visits}  double spent = 0;\n`);
  await call('patch', { files }, 'layout-changed');
  say(
    '**Correct:** the new data stands beside the old. That is refused as well, and the answer says what would do:',
  );
  edit(`${visits}  double spent = 0;\n`, visits);
  const global = 'std::map<std::string, double> spent;';
  edit('double income = 0;', `double income = 0;\n${global}`);
  edit('  income += price;', '  income += price;\n  spent[name] += price;');
  edit('" has " << who.items;', '" has " << who.items << " and spent " << spent[name];');
  await call('patch', { files }, 'needs-constructor');
  const local = `std::map<std::string, double> &spent() {\n  static ${global}\n  return spent;\n}`;
  edit(global, local);
  edit('  spent[name] += price;', '  spent()[name] += price;');
  edit('" and spent " << spent[name];', '" and spent " << spent()[name];');
  await call('patch', { files });
  await observe('order ada 2', /ada has 32 and spent 5/);

  say('**Where is everybody?** The threads of the server wait for requests.');
  await call('threads', { pid: server.pid });

  say('**A mistake that ends the program.** `strtol` is given no text:');
  edit('"requests " << requests', '"requests " << std::strtol(nullptr, nullptr, 10) + requests');
  await call('patch', { files });
  socket.write('stats\n');
  await once(server, 'exit');
  const { crash } = await call('last_crash', { pid: server.pid });
  assert.equal(crash.signal, 'SIGSEGV');
  say(
    'The backtrace names the function, the line and the version that was patched in. The program has to be started again.',
  );
}
