// `npm run fuzz readers [-- --runs N --first N --minutes N]`: malformed ELF files and debug information through the
// engine's readers. Seeds are compiled here from test/fuzz/seeds, so that they are what the present compilers write.
// An input that takes longer than a few seconds, or makes a reader throw something without a code, is a finding.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { root } from './setup.mjs';

/** Milliseconds that one input may take. The seeds take one. */
const LONGEST = 5000;

/** How each seed is made from seed.cc: DWARF versions and forms, sections compressed or split, linked or not. */
const SEEDS = {
  'gcc5.o': ['g++', '-g', '-O1', '-ffunction-sections', '-c'],
  'gcc4.o': ['g++', '-gdwarf-4', '-fdebug-types-section', '-O1', '-c'],
  'gcc64.o': ['g++', '-g', '-gdwarf64', '-c'],
  'zlib.o': ['g++', '-g', '-gz=zlib', '-c'],
  'split.o': ['g++', '-g', '-gsplit-dwarf', '-c'],
  'clang5.o': ['clang++', '-g', '-O1', '-c'],
  'clang4.o': ['clang++', '-gdwarf-4', '-O1', '-c'],
  'library.so': ['g++', '-g', '-O1', '-shared', '-fPIC', '-Wl,--build-id'],
};

function makeSeeds(directory) {
  const made = [];
  for (const [name, [compiler, ...flags]] of Object.entries(SEEDS)) {
    const output = join(directory, name);
    const { status } = spawnSync(compiler, [...flags, 'seed.cc', '-o', output], {
      cwd: join(root, 'test', 'fuzz', 'seeds'),
      stdio: 'ignore',
    });
    // Not every compiler knows every form.
    if (status === 0) made.push(output);
  }
  const split = join(directory, 'split.dwo');
  return existsSync(split) ? [...made, split] : made;
}

/** Runs inputs until one never ends; says how far it came. */
function runThread(script, seeds, first, last, onFinding) {
  return new Promise((resolve, reject) => {
    const progress = new SharedArrayBuffer(8);
    const now = new Int32Array(progress);
    now[0] = first - 1; // until the thread has begun
    const worker = new Worker(script, { workerData: { seeds, first, last, progress } });
    let seen = -1;
    let since = performance.now();
    const watch = setInterval(() => {
      const number = Atomics.load(now, 0);
      if (number !== seen || number < first) [seen, since] = [number, performance.now()];
      else if (performance.now() - since > LONGEST) {
        clearInterval(watch);
        onFinding({ number, seed: seeds[number % seeds.length], found: `took more than ${LONGEST} ms` });
        void worker.terminate();
      }
    }, 500);
    worker.on('message', onFinding);
    worker.on('error', (error) => {
      const number = Atomics.load(now, 0);
      if (number < first) {
        reject(error); // no input was tried: the readers could not be loaded
        return;
      }
      // The memory of the thread is used up, say.
      onFinding({ number, seed: seeds[number % seeds.length], found: String(error) });
    });
    worker.on('exit', () => {
      clearInterval(watch);
      resolve({ next: Atomics.load(now, 0) + 1, done: Atomics.load(now, 1) });
    });
    worker.on('messageerror', reject);
  });
}

/** @returns the number of findings */
export async function fuzzReaders(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      runs: { type: 'string', default: '100000' },
      first: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '2' },
    },
  });
  // Beside the files that packages load from where they are.
  const script = join(root, 'dist', 'fuzz_readers.js');
  await build({
    entryPoints: [join(root, 'test', 'fuzz', 'readers.ts')],
    outfile: script,
    bundle: true,
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  const directory = mkdtempSync(join(tmpdir(), 'hot-patch-fuzz-'));
  try {
    mkdirSync(directory, { recursive: true });
    const seeds = makeSeeds(directory);
    console.log(
      `${seeds.length} seeds, ${Math.max(...seeds.map((seed) => statSync(seed).size))} bytes at most`,
    );
    const first = Number(values.first);
    const last = first + Number(values.runs);
    const end = performance.now() + Number(values.minutes) * 60_000;
    const places = new Map();
    let executions = 0;
    let findings = 0;
    const onFinding = ({ number, seed, found }) => {
      findings++;
      // Many inputs find the same place: the first line of the stack that is ours tells it.
      const place = found
        .split('\n')
        .slice(0, 3)
        .join(' | ')
        .replace(/\d{4,}/g, 'N');
      if (places.has(place)) return;
      places.set(place, number);
      console.log(
        `input ${number} of ${seed.split('/').at(-1)}: ${found.split('\n').slice(0, 6).join('\n')}`,
      );
    };
    for (let next = first; next < last && performance.now() < end;) {
      // In slices, so that the time is looked at, and memory of one slice is given back.
      const { next: after, done } = await runThread(
        script,
        seeds,
        next,
        Math.min(last, next + 20_000),
        onFinding,
      );
      executions += done;
      next = after;
    }
    console.log(`readers: ${executions} executions, ${findings} findings at ${places.size} places`);
    return findings;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  process.exitCode = (await fuzzReaders(process.argv.slice(2))) > 0 ? 1 : 0;
}
