// `npm run demo`: a running server is given new code while its clients stay connected. Sets everything up by itself,
// shows each observation, and ends with status 0 only when every one of them was really made. It works on copies in
// a temporary directory, listens on loopback only, and stops what it started.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

const cli = join(root, 'dist', 'cli.js');
const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : String(text));
const [bold, dim, red, green, yellow, cyan] = [1, 2, 31, 32, 33, 36].map(paint);

const print = (text = '') => console.log(text);
const section = (title) => print(`\n${bold(title)}\n${dim('─'.repeat(title.length))}`);
let failures = 0;

/** One thing the demo claims: printed with a mark, and counted when it is not so. */
function observe(holds, claim, detail = '') {
  if (!holds) failures++;
  print(`  ${holds ? green('✓') : red('✗')} ${claim}${detail === '' ? '' : dim(`  ${detail}`)}`);
}

// --- effects: a workspace, processes, clients, the command line ---------------------------------------------------

const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-demo-')));
const started = [];
const connections = [];
const controlBase = join(workspace, 'run');
mkdirSync(controlBase, { mode: 0o700 });
const env = { ...process.env, XDG_RUNTIME_DIR: controlBase, TMPDIR: workspace };

function cleanUp() {
  for (const { socket } of connections) socket.destroy();
  for (const { pid, child } of started) {
    if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGKILL');
  }
  rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
}
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function must(command, args, cwd = workspace) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed\n${stdout}${stderr}`);
  return stdout;
}

/** Lines of a stream: `next()` waits for the next one. */
function lines(stream) {
  const unread = [];
  const waiting = [];
  createInterface({ input: stream }).on('line', (line) => {
    if (waiting.length > 0) waiting.shift()(line);
    else unread.push(line);
  });
  return {
    next: () =>
      unread.length > 0 ? Promise.resolve(unread.shift()) : new Promise((done) => waiting.push(done)),
  };
}

function start(command, args, cwd) {
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const program = { child, pid: child.pid, output: lines(child.stdout) };
  started.push(program);
  return program;
}

async function connect(port, name) {
  const socket = createConnection({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const client = { name, socket, localPort: socket.localPort, closed: false, input: lines(socket) };
  socket.on('close', () => (client.closed = true));
  client.ask = async (request) => {
    const answer = client.input.next();
    socket.write(`${request}\n`);
    return answer;
  };
  connections.push(client);
  return client;
}

/** The command line, as anyone would call it; its JSON document. */
function hotPatch(...args) {
  const shown = args.map((arg) => (arg.startsWith(workspace) ? relative(workspace, arg) : arg));
  print(`  ${cyan('$')} hot-patch ${shown.join(' ')}`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args, '--json'], {
    cwd: workspace,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`hot-patch ended with ${status}\n${stderr}${stdout}`);
  return JSON.parse(stdout);
}

function edit(file, changes) {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replace(from, to);
    print(`  ${red(`- ${from.trim()}`)}\n  ${green(`+ ${to.trim()}`)}`);
  }
  writeFileSync(file, text);
}

function memory(pid, address, length) {
  const file = openSync(`/proc/${pid}/mem`, 'r');
  const bytes = Buffer.alloc(length);
  readSync(file, bytes, 0, length, BigInt(address));
  closeSync(file);
  return bytes.toString('hex');
}
const threadsOf = (pid) => Number(/^Threads:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const startTimeOf = (pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[19];
const establishedTo = (port) =>
  readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/))
    .filter(
      (row) => row[1]?.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`) && row[3] === '01',
    ).length;

const short = (name) =>
  name.replace(
    /std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >/g,
    'std::string',
  );

function showFunctions(result) {
  for (const { functions } of result.processes) {
    for (const {
      name,
      version,
      trampoline,
      pages,
      verified,
      verifiedFromMemory,
      activeThreads,
    } of functions) {
      print(`  ${bold(short(name))} ${dim(`version ${version}, ${activeThreads} threads in old code`)}`);
      print(
        `    ${trampoline.address}  ${trampoline.bytesBefore} → ${yellow(trampoline.bytesAfter || 'original')}`,
      );
      if (trampoline.kind !== 'none') {
        print(`    ${trampoline.kind} to ${trampoline.target}, written by ${trampoline.method}`);
      }
      for (const { start: page, length, calls } of pages) {
        print(`    page ${page}, ${length} bytes`);
        for (const call of calls)
          print(dim(`      mprotect ${call.protection} = ${call.result} (errno ${call.errno})`));
      }
      observe(verified && verifiedFromMemory === true, 'read back from the memory of the process');
      observe(
        pages.length > 0 &&
          pages.every(({ calls }) => calls.length > 0 && calls.every(({ result: r }) => r === 0)),
        'every mprotect call succeeded',
      );
    }
  }
}

function showTimings(timings) {
  const longest = Math.max(...Object.values(timings));
  for (const [step, milliseconds] of Object.entries(timings)) {
    if (milliseconds < 0.05) continue;
    const bar = '█'.repeat(Math.max(1, Math.round((30 * milliseconds) / longest)));
    print(`  ${step.padEnd(14)} ${milliseconds.toFixed(1).padStart(9)} ms  ${dim(bar)}`);
  }
}

// --- the two parts of the demo ------------------------------------------------------------------------------------

async function service() {
  section('A server of four threads, built as its CMake project says');
  cpSync(join(root, 'test', 'samples', 'service'), join(workspace, 'service'), { recursive: true });
  must('cmake', ['-S', 'service', '-B', 'service/build']);
  must('cmake', ['--build', 'service/build', '--parallel', '2']);
  const source = join(workspace, 'service', 'src', 'shop.cc');
  const original = readFileSync(source, 'utf8');

  print(`  ${cyan('$')} hot-patch run -- service/build/service`);
  const launcher = start(
    process.execPath,
    [cli, 'run', '--', join(workspace, 'service/build/service')],
    workspace,
  );
  const greeting = await launcher.output.next();
  const [, port, pid] = /127\.0\.0\.1:(\d+), pid (\d+)/.exec(greeting).map(Number);
  print(`  ${greeting}`);

  section('Three clients connect and stay connected');
  const names = ['Ann', 'Ben', 'Eve'];
  const clients = [];
  for (const name of names) clients.push(await connect(port, name));
  const [ann, ben, eve] = clients;
  const converse = async () => {
    const answers = [];
    for (const [client, request] of [
      [ann, 'greet Ann'],
      [ben, 'order Ben 4'],
      [eve, 'order Eve 1'],
      [ann, 'total'],
      [eve, 'stats'],
    ]) {
      const answer = await client.ask(request);
      answers.push(answer);
      print(`  ${client.name.padEnd(4)} ${dim('>')} ${request.padEnd(12)} ${dim('<')} ${answer}`);
    }
    return answers;
  };
  const before = await converse();
  const identity = { start: startTimeOf(pid), threads: threadsOf(pid), connections: establishedTo(port) };
  observe(before[0] === 'Hello Ann, visit 1', 'the greeting is the one of the source');
  observe(before[3] === 'income 12.5 from 3 customers', 'prices are the ones of the source');

  section('An edit of three functions, and a save');
  edit(source, [
    ['const double each = 2.5;', 'const double each = count >= 4 ? 1.75 : 2.5;'],
    ['"Hello " + name + ", visit "', '"Welcome back, " + name + "! This is visit "'],
    [
      '"requests " << requests << ", by this thread "',
      '"so far " << requests << " requests; this thread did "',
    ],
  ]);
  const result = hotPatch('patch', source);
  observe(result.outcome === 'patched', `outcome: ${result.outcome}`);
  observe(
    result.processes.length === 1 && result.processes[0].pid === pid,
    `in process ${pid}, and only there`,
  );

  section('The same clients, over the same connections');
  const after = await converse();
  observe(after[0] === 'Welcome back, Ann! This is visit 2', 'new greeting, old visit count continued');
  observe(after[1] === 'order 3: 4 for 7, Ben has 8', 'new price; orders and items continued');
  observe(after[2] === 'order 4: 1 for 2.5, Eve has 2', 'the function-local static counts on');
  observe(after[3] === 'income 22 from 3 customers', 'the income kept what was taken before');
  observe(after[4].startsWith('so far 10 requests; this thread did '), 'the request counter goes on');
  observe(
    Number(after[4].split(' ').at(-1)) > Number(before[4].split(' ').at(-1)),
    'so does the thread_local counter',
  );
  observe(startTimeOf(pid) === identity.start, `same process: pid ${pid}, start time ${identity.start}`);
  observe(threadsOf(pid) === identity.threads, `same ${identity.threads} threads`);
  observe(
    establishedTo(port) === identity.connections && clients.every(({ closed }) => !closed),
    `same ${identity.connections} connections`,
    clients.map(({ localPort }) => `:${localPort}`).join(' '),
  );

  section('What was written into the process');
  showFunctions(result);
  const code = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
  observe(!code.some((row) => /^\S+ .wx/.test(row)), 'no page is writable and executable');

  section('From save to live');
  showTimings(result.timings);

  section('Undone');
  writeFileSync(source, original);
  const reverted = hotPatch('revert', '--pid', String(pid));
  observe(reverted.outcome === 'reverted', `outcome: ${reverted.outcome}`);
  for (const { name, trampoline } of result.processes[0].functions) {
    const bytes = memory(pid, trampoline.address, trampoline.bytesBefore.length / 2);
    observe(bytes === trampoline.bytesBefore, `${short(name)} has its original bytes in memory`, bytes);
  }
  const again = await converse();
  observe(again[0] === 'Hello Ann, visit 3', 'the original greeting again, and still the same visits');
  observe(again[1] === 'order 5: 4 for 10, Ben has 12', 'the original price again');
  observe(
    again[4].startsWith('requests 15, by this thread '),
    'all fifteen requests were counted by one process',
  );
}

/** The next lines of a program, from the first that matches. */
async function linesFrom(program, first, count) {
  let line = await program.output.next();
  while (!first.test(line)) line = await program.output.next();
  const found = [line];
  while (found.length < count) found.push(await program.output.next());
  for (const each of found) print(`  ${dim('|')} ${each}`);
  return found;
}

async function published() {
  section('The published sample: a hand-written patch, and kill -USR1');
  const library = join(workspace, 'hot_fix');
  cpSync(join(root, 'native/demo/test_prj'), join(workspace, 'test_prj'), { recursive: true });
  cpSync(join(root, 'dist/native/include/hot_fix.h'), join(library, 'hot_fix.h'));
  cpSync(join(root, 'dist/native/lib/libhot_fix.a'), join(library, 'libhot_fix.a'));
  must('make', ['-C', 'test_prj', `HOT_FIX=${library}`]);
  const build = join(workspace, 'test_prj', 'build');
  const source = join(workspace, 'test_prj', 'app.cc');
  const original = ['before fix cur times', 10];
  const fixed = ['after fix cur times', 3];
  const isRound = (lines, [text, count]) =>
    lines.length === count && lines.every((line, times) => line === `${text} ${times}`);
  const next = (program, [text, count]) => linesFrom(program, new RegExp(`^${text} 0$`), count);

  const first = start(join(build, 'test_prj'), [], build);
  observe(isRound(await next(first, original), original), 'the original function counts to ten');
  print(`  ${cyan('$')} kill -USR1 ${first.pid}`);
  process.kill(first.pid, 'SIGUSR1');
  const [address, loaded] = await linesFrom(first, /^after {2}fix_func addr/, 2);
  observe(/ 0x[0-9a-f]+$/.test(address) && loaded === 'load new fix function', 'the patch.so was loaded');
  observe(isRound(await next(first, fixed), fixed), 'the new function counts to three');
  observe(first.child.exitCode === null, `in the same process, ${first.pid}`);
  await stop(first);

  section('The same change, by editing app.cc');
  const second = start(join(build, 'test_prj'), [], build);
  observe(isRound(await next(second, original), original), 'the original function counts to ten');
  edit(source, [
    ['times < 10', 'times < 3'],
    ['"before fix cur times', '"after fix cur times'],
  ]);
  const result = hotPatch('patch', source, '-p', build);
  observe(result.outcome === 'patched', `outcome: ${result.outcome}`);
  observe(isRound(await next(second, fixed), fixed), 'the edited function counts to three');
  showFunctions(result);
  const reverted = hotPatch('revert', '--pid', String(second.pid));
  observe(reverted.outcome === 'reverted', `outcome: ${reverted.outcome}`);
  observe(isRound(await next(second, original), original), 'the original function counts to ten again');
  observe(second.child.exitCode === null, `in the same process, ${second.pid}`);
  await stop(second);
}

async function stop({ child, pid }) {
  const ended = once(child, 'exit');
  process.kill(pid, 'SIGKILL');
  await ended;
}

try {
  setUp([...BUILD_COMMANDS, 'cmake']);
  await service();
  await published();
} catch (problem) {
  failures++;
  console.error(red(problem.message));
}
section(failures === 0 ? 'All of it was observed.' : `${failures} observations failed.`);
process.exit(failures === 0 ? 0 : 1);
