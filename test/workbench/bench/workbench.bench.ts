// Part of `npm run bench`: what the packaged extension costs the extension host. Starts a clean VS Code with it on a
// running program with a unit of 10,000 lines, and has measure.host.ts measure in there.
import { readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/paths';
import { Session } from '../../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../../support/temporary';
import { CodeServer } from '../host/code_server';
import { runInHost } from '../host/run_in_host';
import type { Figures, Typing } from './measure.host';

const FUNCTIONS = 500;
const body = Array.from({ length: 17 }, (_, line) => `  n = n * ${line + 3} + (n >> ${line % 7});`).join(
  '\n',
);
/** The macro is in two functions of five: an edit of it changes them all, and not so many that the build must seem to
 * be another one. */
const large = `#define STEP 1\n${Array.from(
  { length: FUNCTIONS },
  (_, i) => `long step_${i}(long n) {\n${body}\n  return n + ${i % 5 < 2 ? 'STEP' : 1};\n}\n`,
).join('')}`;

/** The section of docs/PERFORMANCE.md. */
export async function measure(): Promise<string> {
  const session = new Session();
  const home = temporaryDirectory();
  try {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    await CodeServer.install(home, join(root, `hot-patch-linux-x64-${version}.vsix`));
    session.copySample('driver');
    session.write('large.c', `${large}long value(long n) {\n  return step_1(n);\n}\n`);
    await session.build({ sources: ['main.c', 'large.c'], flags: ['-g', '-O1'] });
    // They would activate the extension before it is measured.
    await session.run('mv', ['compile_commands.json', 'later.json']);
    await session.run('rm', ['main.c', 'main.cc']);
    mkdirSync(session.path('empty'));
    const manifest = { name: 'empty', publisher: 'test', version: '0.0.1', engines: { vscode: '*' } };
    session.write('empty/package.json', JSON.stringify(manifest));
    await session.start();
    const file = session.path('run', 'figures.json');
    const results = await runInHost({
      session,
      home,
      tests: 'bench',
      extension: session.path('empty'),
      env: { HOT_PATCH_TEST_FOLDER: session.directory, HOT_PATCH_FIGURES: file },
    });
    const failed = results.find((result) => result.error !== undefined);
    if (failed) throw new Error(failed.error);
    return report(JSON.parse(readFileSync(file, 'utf8')) as Figures);
  } finally {
    await session.dispose();
    removeTemporaryDirectory(home);
  }
}

function report({ activation, lines, functions, patched, keys, rounds, save }: Figures): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const of = (state: string, lenses: boolean) =>
    rounds.filter((round) => round.state === state && round.lenses === lenses).map(({ typing }) => typing);
  const row = (title: string, state: string, figure: keyof Typing): string => {
    const [on, off] = [true, false].map((lenses) =>
      median(of(state, lenses).map((typing) => typing[figure])),
    );
    return `| ${title} | ${ms(on!)} | ${ms(off!)} | ${(on! / off!).toFixed(2)}× |`;
  };
  const section = (title: string, state: string): string => {
    const slices = of(state, true).map(({ slice }) => slice);
    return `${title}: the extension held the thread for ${ms(median(slices))} at a time at most (the longest of all rounds: ${ms(Math.max(...slices))}).

| medians of the rounds | with lenses and marks | without | ratio |
| --- | ---: | ---: | ---: |
${row('processor time of one edit, median', state, 'processor')}
${row('delay of the event loop, median', state, 'median')}
${row('delay of the event loop, 99th percentile', state, 'p99')}
${row('delay of the event loop, longest', state, 'longest')}`;
  };
  return `## The editor

Measured by \`node scripts/bench_workbench.mjs\` (also a part of \`npm run bench\`): the packaged extension in a clean VS Code beside a running program, with a unit of ${lines.toLocaleString('en')} lines and ${functions} functions in the editor. Activation: ${activation === undefined ? 'not measured, VS Code was quicker' : ms(activation)}.

Somebody types ${keys} times, in ${rounds.length / 4} rounds with lenses and marks and as many without, in turn, and after every key press the lenses are asked for, with a screenful of them resolved, more often than VS Code does. How long the extension itself holds the extension host's thread is read from a CPU profile of that thread: the longest run of samples with the extension's code on the stack, its calls into VS Code and collections of garbage in between included. That is wall-clock time: on a busy machine it has other programs' share in it, as the delays of the event loop have, which are VS Code's own and other extensions' too.

${section('With no function patched', 'original')}

${section(`With ${patched} functions patched`, 'patched')}

While the save that patched them all was made live: ${ms(save)} at a time at most.
`;
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}
