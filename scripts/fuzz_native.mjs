// `npm run fuzz native [-- --runs N --minutes N]`: what the runtime reads (requests, patch files, unwind records), by
// libFuzzer, with the runtime's own code under the address and undefined-behaviour sanitizers. Each target runs for the
// time, or as many times; it ends with what it found, and the input stays in .cache/fuzz.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { root } from './setup.mjs';

/** The sources of the runtime that each target is made of, beside its own. */
const TARGETS = {
  request: ['request'],
  patch_file: ['patch_file', 'unwind_records'],
  unwind_records: ['unwind_records', 'patch_file'],
};
/** Bytes of an input. A patch file of the tests has some 20,000. */
const LONGEST = 65_536;

function run(command, args, options = {}) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error ?? stderr}`);
}

function compile(name, directory) {
  const program = join(directory, `${name}.fuzz`);
  const ours = (file) => join(root, 'test', 'fuzz', 'native', `${file}.cc`);
  const sources = TARGETS[name].map((file) => join(root, 'native', 'src', `${file}.cc`));
  run('clang++', [
    ...['-std=c++17', '-g', '-O1', '-D_GNU_SOURCE', '-fno-exceptions', '-fno-rtti'],
    ...['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=all'],
    ...[`-I${join(root, 'native', 'include')}`, `-I${join(root, 'native', 'src')}`],
    ...[ours(name), ours('memory'), join(root, 'native', 'src', 'failure.cc'), ...sources, '-o', program],
  ]);
  return program;
}

async function makeSeeds(directory) {
  const script = join(directory, 'native_seeds.js');
  await build({
    entryPoints: [join(root, 'test', 'fuzz', 'native_seeds.ts')],
    ...{ outfile: script, bundle: true, platform: 'node', target: 'node20', logLevel: 'warning' },
  });
  run(process.execPath, [script, directory]);
}

/** @returns the number of findings */
export async function fuzzNative(argv) {
  const { values } = parseArgs({
    args: argv,
    options: { runs: { type: 'string' }, minutes: { type: 'string', default: '2' } },
  });
  const directory = mkdtempSync(join(tmpdir(), 'hot-patch-fuzz-'));
  const kept = join(root, '.cache', 'fuzz');
  mkdirSync(kept, { recursive: true });
  try {
    await makeSeeds(directory);
    let findings = 0;
    for (const name of Object.keys(TARGETS)) {
      const limit = values.runs ? `-runs=${values.runs}` : `-max_total_time=${Number(values.minutes) * 60}`;
      const found = join(directory, 'found-');
      const args = [limit, '-seed=1', `-max_len=${LONGEST}`, '-timeout=10', '-print_final_stats=1'];
      const { status, stderr } = spawnSync(
        compile(name, directory),
        [...args, `-artifact_prefix=${found}`, join(directory, name)],
        { encoding: 'utf8', maxBuffer: 1 << 28 },
      );
      const executions = /number_of_executed_units: (\d+)/.exec(stderr)?.[1] ?? '?';
      console.log(`native ${name}: ${executions} executions, ${status === 0 ? 0 : 1} findings`);
      if (status === 0) continue;
      findings++;
      console.log(stderr.split('\n').slice(-60).join('\n'));
      for (const file of readdirSync(directory).filter((file) => file.startsWith('found-'))) {
        cpSync(join(directory, file), join(kept, `${name}-${file}`));
        console.log(`the input is ${join(kept, `${name}-${file}`)}`);
      }
    }
    return findings;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
