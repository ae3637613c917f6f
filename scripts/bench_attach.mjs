// The part of `npm run bench` that says what attaching costs: the first save of a program that was started as always,
// beside the next save of the same process, which has the runtime by then. By itself (node scripts/bench_attach.mjs
// [--dry]) it writes its section of docs/PERFORMANCE.md and leaves the others.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSection } from './bench_report.mjs';
import { BUILD_COMMANDS, root, setUp } from './setup.mjs';

const PROGRAMS = 10;
const source = (n) => `
#include <stdio.h>
__attribute__((noinline)) int value(void) { return ${n}; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", value());
  return 0;
}
`;

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
const median = (numbers) => sorted(numbers)[numbers.length >> 1];
const shown = (number) => (number < 10 ? number.toFixed(2) : String(Math.round(number)));

/** After the build; the section of the report, as Markdown. */
export async function benchAttach() {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'hot-patch-bench-')));
  try {
    return report(await measure(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(directory) {
  mkdirSync(join(directory, 'run'), { mode: 0o700 });
  const env = { ...process.env, XDG_RUNTIME_DIR: join(directory, 'run'), TMPDIR: directory };
  const file = join(directory, 'unit.c');
  const compile = ['gcc', '-g', '-O0', '-c', 'unit.c', '-o', 'unit.o'];
  writeFileSync(
    join(directory, 'compile_commands.json'),
    JSON.stringify([{ directory, file, arguments: compile }]),
  );
  const samples = [];
  for (let round = 0; round < PROGRAMS; round++) {
    writeFileSync(file, source(1));
    for (const [command, ...args] of [compile, ['gcc', 'unit.o', '-o', 'program']])
      if (spawnSync(command, args, { cwd: directory }).status !== 0) throw new Error(`${command} failed`);
    const program = spawn(join(directory, 'program'), [], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    program.stdout.setEncoding('utf8');
    const line = () => new Promise((resolve) => program.stdout.once('data', resolve));
    try {
      await line();
      /** Saves a text, and sees it run. */
      const save = async (n, ...options) => {
        writeFileSync(file, source(n));
        const args = [
          join(root, 'dist', 'cli.js'),
          'patch',
          '--json',
          ...options,
          '--pid',
          String(program.pid),
        ];
        const { stdout, stderr } = spawnSync(process.execPath, [...args, file], { env, encoding: 'utf8' });
        const result = JSON.parse(stdout);
        const answer = line();
        program.stdin.write('\n');
        if (result.outcome !== 'patched' || (await answer) !== `${n}\n`) throw new Error(stdout + stderr);
        return result;
      };
      const first = await save(2, '--attach');
      const second = await save(3);
      samples.push({
        attaching: first.timings.total,
        attach: first.timings.attach,
        pause: first.attached[0].pause,
        prepared: second.timings.total,
      });
    } finally {
      program.kill('SIGKILL');
    }
  }
  return samples;
}

function report(samples) {
  const row = (title, of) => {
    const numbers = sorted(samples.map(of));
    return `| ${title} | ${shown(median(numbers))} | ${shown(numbers[0])}–${shown(numbers.at(-1))} |`;
  };
  return `## Attaching

Measured by \`node scripts/bench_attach.mjs\` (also a part of \`npm run bench\`): a save of a small C program with \`hot-patch patch --attach\`, which attaches first, beside the next save of the same process, which has the runtime by then. Milliseconds from the engine's start of the save to its end, of ${samples.length} programs.

| | median | range |
| --- | ---: | ---: |
${[
  row('save of a process that is not attached', ({ attaching }) => attaching),
  row('save of a process that is prepared', ({ prepared }) => prepared),
  row('of the first: the step `attach`', ({ attach }) => attach),
  row('of that: one thread stood still', ({ pause }) => pause),
].join('\n')}

The pause counts from the moment at which the thread stands still. Where every thread of a process runs, it takes its turn on a processor before that, as it would without us.
`;
}

if (process.argv[1] === import.meta.filename) {
  setUp(BUILD_COMMANDS);
  writeSection(await benchAttach());
}
