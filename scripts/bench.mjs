// `npm run bench [-- --units NAME,… --rounds N --dry]`: milliseconds from save to live and to confirmed, by step, beside
// the bare compile of the unit with its own flags and beside rebuild, relink and restart, all in the same run on the same
// edits. Every round is checked: the process must answer with the new code. Medians and ratios go to docs/PERFORMANCE.md,
// unless only some units are measured.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { saveAhead } from './bench_ahead.mjs';
import { benchAttach } from './bench_attach.mjs';
import { benchTerminals } from './bench_terminals.mjs';
import { benchWorkbench } from './bench_workbench.mjs';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string' }, units: { type: 'string' }, dry: { type: 'boolean' } },
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
const env = {
  ...process.env,
  XDG_RUNTIME_DIR: join(workspace, 'run'),
  XDG_CACHE_HOME: join(workspace, 'cache'),
  TMPDIR: workspace,
  LANG: 'C.UTF-8',
};

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

const headers = `${[
  'algorithm',
  'fstream',
  'functional',
  'iostream',
  'map',
  'memory',
  'regex',
  'sstream',
  'string',
  'vector',
]
  .map((name) => `#include <${name}>`)
  .join('\n')}
${repeat(
  58,
  (i) => `
long handler_${i}(long n) {
  std::map<std::string, std::vector<long>> values;
  values["item ${i}"].push_back(n);
  std::ostringstream text;
  text << n << ${i};
  long result = std::stol(text.str());
  for (const auto &[name, numbers] : values) result += numbers.size() + name.size();
  return result;
}`,
)}

${edited}
long value(long n) { return n < 0 ? handler_7(n) : edited(n); }
`;

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
const cxx = { language: 'cc', compiler: 'g++' };
const c = { language: 'c', compiler: 'gcc' };
const units = {
  small: { title: 'with &lt;iostream>', source: small, ...cxx, flags: ['-O2', '-g', '-std=c++17'] },
  'headers-O0': { title: 'ten STL headers', source: headers, ...cxx, flags: ['-O0', '-g', '-std=c++17'] },
  'headers-O2': { title: 'ten STL headers', source: headers, ...cxx, flags: ['-O2', '-g', '-std=c++17'] },
  'headers-clang': {
    title: 'ten STL headers, clang',
    source: headers,
    language: 'cc',
    compiler: 'clang++',
    flags: ['-O2', '-g', '-std=c++17'],
  },
  'containers-O0': { title: 'containers', source: medium, ...cxx, flags: ['-O0', '-g', '-std=c++17'] },
  'containers-O2': { title: 'containers', source: medium, ...cxx, flags: ['-O2', '-g', '-std=c++17'] },
  // A round takes a minute.
  'large-O0': { title: 'generated C', source: large, ...c, flags: ['-O0', '-g'], rounds: 3 },
};
const ROUNDS = 10;

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

function prepare(name, { source, language, compiler, flags }) {
  const directory = join(workspace, name);
  mkdirSync(directory);
  const files = [`main.${language}`, `unit.${language}`];
  writeFileSync(join(directory, files[0]), readFileSync(join(root, 'test/samples/driver', files[0])));
  writeFileSync(join(directory, files[1]), source);
  const compile = (file) => [...flags, '-c', file, '-o', `${file}.o`];
  const database = files.map((file) => ({ directory, file, arguments: [compiler, ...compile(file)] }));
  writeFileSync(join(directory, 'compile_commands.json'), JSON.stringify(database));
  for (const file of files) must(compiler, compile(file), directory);
  const link = () => must(compiler, [...files.map((file) => `${file}.o`), '-o', 'program'], directory);
  link();
  return { directory, unit: files[1], compile: () => must(compiler, compile(files[1]), directory), link };
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

/** `hot-patch watch` on a directory, as an editor would have the engine running. */
function startWatch(directory) {
  const child = spawn(process.execPath, [cli, 'watch', '--json', '--verbose', directory], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.on('exit', () => running.delete(child));
  const messages = createInterface({ input: child.stderr });
  const results = createInterface({ input: child.stdout });
  const next = (lines, pattern) =>
    new Promise((resolve) => {
      const look = (line) => {
        if (!pattern.test(line)) return;
        lines.off('line', look);
        resolve(line);
      };
      lines.on('line', look);
    });
  return {
    child,
    watching: next(messages, /^watching/),
    /** First light. */
    live: () => next(messages, /^live in/),
    /** What there is to compile ahead was. */
    ahead: () => next(messages, /preamble of/),
    result: async () => JSON.parse(await next(results, /./)),
  };
}

/** A save, with the milliseconds until it was live and until it was confirmed. */
async function save(watch, file, text) {
  const begin = performance.now();
  const done = watch.result();
  const live = watch.live().then(() => performance.now() - begin);
  writeFileSync(file, text);
  const result = await done;
  const confirmed = performance.now() - begin;
  if (result.outcome !== 'patched') throw new Error(JSON.stringify(result.refusals));
  return { result, confirmed, live: result.firstLight ? await live : confirmed };
}

async function measure(name, unit, rounds) {
  const { source, compiler, flags } = unit;
  const patched = prepare(`${name}-patched`, unit);
  const rebuilt = prepare(`${name}-rebuilt`, unit);
  const live = await startProgram(patched.directory, runtimeEnvironment());
  const watch = startWatch(patched.directory);
  await watch.watching;
  let restarted = await startProgram(rebuilt.directory, env);
  const samples = [];
  // Round 0 is the first save: the engine has not seen the program before.
  for (let round = 0; round <= rounds; round++) {
    const text = source.replace('n * 1000 + 0', `n * 1000 + ${round + 1}`);
    const ahead = round === 0 && source.includes('#include') ? watch.ahead() : undefined;
    const saved = await save(watch, join(patched.directory, patched.unit), text);
    await expectAnswer(live, round + 1);
    await ahead;

    writeFileSync(join(rebuilt.directory, rebuilt.unit), text);
    const bare = await timed(() =>
      must(compiler, [...flags, '-c', rebuilt.unit, '-o', join(workspace, 'bare.o')], rebuilt.directory),
    );
    const rebuild = await timed(async () => {
      rebuilt.compile();
      rebuilt.link();
      await stopProgram(restarted);
      restarted = await startProgram(rebuilt.directory, env);
    });
    await expectAnswer(restarted, round + 1);

    samples.push({
      bare: bare.milliseconds,
      live: saved.live,
      confirmed: saved.confirmed,
      rebuild: rebuild.milliseconds,
      light: saved.result.firstLight?.outcome ?? 'none',
      steps: saved.result.timings,
    });
    const figure = (milliseconds) => `${Math.round(milliseconds)} ms`;
    console.error(
      `${name} ${round === 0 ? 'first save' : `${round}/${rounds}`}: live ${figure(saved.live)}, ` +
        `confirmed ${figure(saved.confirmed)}, ${compiler} -c ${figure(bare.milliseconds)}, ` +
        `rebuild and restart ${figure(rebuild.milliseconds)}`,
    );
  }
  await stopProgram(watch);
  const file = join(patched.directory, patched.unit);
  const texts = Array.from({ length: rounds }, (_, i) =>
    source.replace('n * 1000 + 0', `n * 1000 + ${rounds + 2 + i}`),
  );
  const typed = await saveAhead({ file, pid: live.child.pid, env, texts }, (index) =>
    expectAnswer(live, rounds + 2 + index),
  );
  console.error(`${name} compiled ahead: live ${typed.map((time) => Math.round(time)).join(', ')} ms`);
  await stopProgram(live);
  await stopProgram(restarted);
  const [first, ...later] = samples;
  const steps = Object.keys(first.steps).filter((step) =>
    samples.some((sample) => sample.steps[step] >= 0.05),
  );
  const middle = (of) => median(later.map(of));
  return {
    ...unit,
    name,
    lines: lineCount(source),
    rounds,
    first: first.confirmed,
    bare: middle((sample) => sample.bare),
    live: middle((sample) => sample.live),
    typed: median(typed),
    confirmed: middle((sample) => sample.confirmed),
    rebuild: middle((sample) => sample.rebuild),
    lights: later.filter(({ light }) => light === 'confirmed').length,
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
  const title = ({ title: what, lines, flags }) =>
    `${what}, ${lines.toLocaleString('en')} lines, \`${flags[0]}\``;
  const steps = [...new Set(results.flatMap((result) => Object.keys(result.steps)))];
  return `# Performance

Measured by \`npm run bench\`, which writes this file. Milliseconds, medians of the rounds of one run. In each round one function is edited; the file is saved beside a running \`hot-patch watch\` (which waits 30 ms for a save to be complete, as an editor does) until first light is live, and until the whole unit has confirmed it; the same text is compiled bare (\`g++ -c\`, or \`gcc -c\`, with the unit's own options); and in a second copy it is compiled, linked and the program restarted. After each, the process was asked and answered with the new code. *Compiled ahead* is the time from a save to live in the editor's engine when the text had been compiled while it was typed.

Machine: ${machine()}

${table(
  [
    'unit',
    '`g++ -c`',
    'live',
    'live, compiled ahead',
    'confirmed',
    'rebuild, relink, restart',
    'live / `g++ -c`',
    'confirmed / `g++ -c`',
    'live / restart',
    'first light in',
    'first save',
  ],
  results.map((result) => [
    title(result),
    ms(result.bare),
    ms(result.live),
    ms(result.typed),
    ms(result.confirmed),
    ms(result.rebuild),
    ratio(result.live, result.bare),
    ratio(result.confirmed, result.bare),
    ratio(result.live, result.rebuild),
    `${result.lights} of ${result.rounds} rounds`,
    ms(result.first),
  ]),
)}

The first save is not in the medians: the engine reads the program then, and nothing is compiled ahead yet.

By step, as the engine reports them of the exact way, which runs beside first light:

${table(
  ['step', ...results.map(({ name }) => name)],
  steps.map((step) => [
    step,
    ...results.map((result) => (step in result.steps ? ms(result.steps[step]) : '')),
  ]),
)}

A restart also costs what is not measured here: the state of the process, its connections, and the way back to the place you were looking at.
`;
}

setUp(BUILD_COMMANDS);
const chosen = options.units?.split(',') ?? Object.keys(units);
for (const name of chosen)
  if (!(name in units)) throw new Error(`${name} is none of ${Object.keys(units).join(', ')}`);
const results = [];
for (const name of chosen)
  results.push(await measure(name, units[name], Number(options.rounds ?? units[name].rounds ?? ROUNDS)));
const text =
  report(results) +
  (options.units === undefined
    ? `\n${await benchWorkbench()}\n${await benchAttach()}\n${await benchTerminals()}`
    : '');
console.log(text);
if (!options.dry && options.units === undefined) writeFileSync(join(root, 'docs', 'PERFORMANCE.md'), text);
process.exit(0);
