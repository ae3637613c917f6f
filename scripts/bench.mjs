// `npm run bench`: milliseconds from save to live, by step, beside the bare compile of the unit with its own flags
// and beside rebuild, relink and restart, all in the same run on the same edits. Every round is checked: the process
// must answer with the new code. Medians and ratios go to docs/PERFORMANCE.md.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { benchWorkbench } from './bench_workbench.mjs';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string' }, only: { type: 'string' }, dry: { type: 'boolean' } },
});
const cli = join(root, 'dist', 'cli.js');
const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-bench-')));
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(workspace, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

mkdirSync(join(workspace, 'run'), { mode: 0o700 });
const env = { ...process.env, XDG_RUNTIME_DIR: join(workspace, 'run'), TMPDIR: workspace, LANG: 'C.UTF-8' };
const flags = ['-O2', '-g', '-std=c++17'];

// --- the units ----------------------------------------------------------------------------------------------------

const edited = 'long edited(long n) { return n * 1000 + 0; }';

const small = `#include <iostream>
#include <string>
${edited}
long value(long n) {
  std::string text = std::to_string(edited(n));
  std::cerr << text << std::endl;
  return std::stol(text);
}
`;

const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i)).join('\n');

const medium = `#include <algorithm>
#include <map>
#include <string>
#include <vector>
struct Item { std::string name; std::vector<long> values; double weight; };
static std::map<std::string, Item> items;
${repeat(
  199,
  (i) => `
long handler_${i}(long n) {
  static long calls = 0;
  calls++;
  Item &item = items["item ${i}"];
  item.values.push_back(n + ${i});
  item.weight += n * ${i}.25;
  if (n % ${i + 2} == 0) item.name += "every ${i + 2}";
  std::sort(item.values.begin(), item.values.end());
  switch (n & 3) {
    case 0: return item.values.front();
    case 1: return item.values.back() + calls;
    default: return static_cast<long>(item.weight);
  }
}`,
)}
${edited}
long value(long n) { return n < 0 ? handler_7(n) : edited(n); }
`;

const large = `static const char *last_name = "none";
static long total = 0;
${edited}
${repeat(
  18_180,
  (i) => `long function_${i}(long n) {
  long result = n * ${i + 1};
  if ((n & ${(i % 7) + 1}) != 0) {
    result ^= ${i};
  }
  if (result > ${i * 3}) {
    last_name = "function ${i}";
  }
  total += result;
  return result;
}`,
)}
long value(long n) { return n < 0 ? function_19(n) + total + *last_name : edited(n); }
`;

const lineCount = (text) => text.split('\n').length - 1;
const units = {
  small: { title: 'small, with <iostream>', source: small, rounds: 7 },
  medium: { title: 'generated, containers', source: medium, rounds: 5 },
  large: { title: 'generated, plain functions', source: large, rounds: 3 },
};

// --- measuring ----------------------------------------------------------------------------------------------------

function must(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`);
  return stdout;
}

const timed = async (work) => {
  const begin = performance.now();
  const result = await work();
  return { milliseconds: performance.now() - begin, result };
};

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

async function startProgram(directory, environment) {
  const child = spawn(join(directory, 'program'), [], {
    env: environment,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  const waiting = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line));
  const line = () => new Promise((resolve) => waiting.push(resolve));
  await line();
  const ask = (text) => {
    const answer = line();
    child.stdin.write(`${text}\n`);
    return answer;
  };
  return { child, ask };
}

async function stopProgram({ child }) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function prepare(name, source) {
  const directory = join(workspace, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'main.cc'), readFileSync(join(root, 'test/samples/driver/main.cc')));
  writeFileSync(join(directory, 'unit.cc'), source);
  const compile = (file) => [...flags, '-c', file, '-o', `${file}.o`];
  const database = ['main.cc', 'unit.cc'].map((file) => ({
    directory,
    file,
    arguments: ['g++', ...compile(file)],
  }));
  writeFileSync(join(directory, 'compile_commands.json'), JSON.stringify(database));
  for (const file of ['main.cc', 'unit.cc']) must('g++', compile(file), directory);
  must('g++', ['main.cc.o', 'unit.cc.o', '-o', 'program'], directory);
  return { directory, compile: compile('unit.cc') };
}

const runtimeEnvironment = () =>
  Object.fromEntries(
    must(process.execPath, [cli, 'run', '--', 'env', '-0'], workspace)
      .split('\0')
      .filter((text) => text.includes('='))
      .map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  );

async function expectAnswer(program, round) {
  const answer = await program.ask('1');
  if (answer !== String(1000 + round)) throw new Error(`round ${round}: the process answered ${answer}`);
}

/** `hot-patch watch` on a directory, as an editor would have the engine running: one document for each save. */
function startWatch(directory) {
  const child = spawn(process.execPath, [cli, 'watch', '--json', directory], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  let messages = '';
  let ready;
  const watching = new Promise((resolve) => (ready = resolve));
  child.stderr.on('data', (data) => {
    messages += data;
    if (messages.includes('watching')) ready();
  });
  const waiting = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(JSON.parse(line)));
  const result = () => new Promise((resolve) => waiting.push(resolve));
  return { child, watching, result, messages: () => messages };
}

async function measure(name, { title, source, rounds }) {
  const patched = prepare(`${name}-patched`, source);
  const rebuilt = prepare(`${name}-rebuilt`, source);
  const live = await startProgram(patched.directory, runtimeEnvironment());
  const watch = startWatch(patched.directory);
  await watch.watching;
  let restarted = await startProgram(rebuilt.directory, env);
  const samples = [];
  // Round 0 is the first save: the engine has not seen the program before.
  for (let round = 0; round <= rounds; round++) {
    const text = source.replace('n * 1000 + 0', `n * 1000 + ${round + 1}`);
    const save = await timed(() => {
      const done = watch.result();
      writeFileSync(join(patched.directory, 'unit.cc'), text);
      return done;
    });
    if (save.result.outcome !== 'patched') throw new Error(JSON.stringify(save.result.refusals));
    await expectAnswer(live, round + 1);

    writeFileSync(join(rebuilt.directory, 'unit.cc'), text);
    const bare = await timed(() =>
      must('g++', [...flags, '-c', 'unit.cc', '-o', join(workspace, 'bare.o')], rebuilt.directory),
    );
    const rebuild = await timed(async () => {
      must('g++', rebuilt.compile, rebuilt.directory);
      must('g++', ['main.cc.o', 'unit.cc.o', '-o', 'program'], rebuilt.directory);
      await stopProgram(restarted);
      restarted = await startProgram(rebuilt.directory, env);
    });
    await expectAnswer(restarted, round + 1);

    samples.push({
      bare: bare.milliseconds,
      save: save.milliseconds,
      rebuild: rebuild.milliseconds,
      steps: save.result.timings,
    });
    const figure = (milliseconds) => `${Math.round(milliseconds)} ms`;
    console.error(
      `${name} ${round === 0 ? 'first save' : `${round}/${rounds}`}: save to live ${figure(save.milliseconds)}, ` +
        `g++ -c ${figure(bare.milliseconds)}, rebuild and restart ${figure(rebuild.milliseconds)}`,
    );
  }
  await stopProgram(watch);
  await stopProgram(live);
  await stopProgram(restarted);
  const [first, ...later] = samples;
  const steps = Object.keys(first.steps).filter((step) =>
    samples.some((sample) => sample.steps[step] >= 0.05),
  );
  const middle = (of) => median(later.map(of));
  return {
    title,
    lines: lineCount(source),
    rounds,
    first: first.save,
    bare: middle((sample) => sample.bare),
    save: middle((sample) => sample.save),
    rebuild: middle((sample) => sample.rebuild),
    steps: Object.fromEntries(steps.map((step) => [step, middle((sample) => sample.steps[step] ?? 0)])),
  };
}

// --- the report ---------------------------------------------------------------------------------------------------

const table = (head, rows) =>
  [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
const ms = (milliseconds) =>
  milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds).toLocaleString('en');
const ratio = (a, b) => `${(a / b).toFixed(2)}×`;

function machine() {
  const memory = Math.round(totalmem() / 2 ** 30);
  const compiler = must('g++', ['--version'], workspace).split('\n')[0];
  return `${cpus()[0].model.trim()}, ${cpus().length} cores, ${memory} GiB; Linux ${release()}; ${compiler}; Node ${process.version}`;
}

function report(results) {
  const title = ({ title: name, lines, rounds }) =>
    `${name}, ${lines.toLocaleString('en')} lines (${rounds === 1 ? '1 round' : `${rounds} rounds`})`;
  const steps = [...new Set(results.flatMap((result) => Object.keys(result.steps)))];
  return `# Performance

Measured by \`npm run bench\`, which writes this file. Milliseconds, medians of the rounds of one run. In each round one function is edited; the file is saved beside a running \`hot-patch watch\` (which waits 30 ms for a save to be complete, as an editor does) until the running process has the new code; the same text is compiled bare (\`g++ ${flags.join(' ')} -c\`); and in a second copy it is compiled, linked and the program restarted. After each, the process was asked and answered with the new code.

Machine: ${machine()}

${table(
  [
    'unit',
    '`g++ -c`',
    'save to live',
    'rebuild, relink, restart',
    'live / `g++ -c`',
    'live / restart',
    'first save',
  ],
  results.map((result) => [
    title(result),
    ms(result.bare),
    ms(result.save),
    ms(result.rebuild),
    ratio(result.save, result.bare),
    ratio(result.save, result.rebuild),
    ms(result.first),
  ]),
)}

The first save is not in the medians: the engine reads the program then.

By step, as the engine reports them:

${table(
  ['step', ...results.map(({ title: name }) => name)],
  steps.map((step) => [
    step,
    ...results.map((result) => (step in result.steps ? ms(result.steps[step]) : '')),
  ]),
)}

A restart also costs what is not measured here: the state of the process, its connections, and the way back to the place you were looking at.
`;
}

setUp(BUILD_COMMANDS);
const chosen = options.only?.split(',') ?? Object.keys(units);
const results = [];
for (const name of chosen) {
  const unit = units[name];
  results.push(await measure(name, { ...unit, rounds: Number(options.rounds ?? unit.rounds) }));
}
const text = report(results) + (options.only === undefined ? `\n${await benchWorkbench()}` : '');
console.log(text);
if (!options.dry && options.only === undefined) writeFileSync(join(root, 'docs', 'PERFORMANCE.md'), text);
process.exit(0);
