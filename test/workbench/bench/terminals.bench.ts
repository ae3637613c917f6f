// What the gate in LD_PRELOAD costs a program that is no program of the workspace: nearly all that a terminal starts.
// Starts of one program with and without it in turn, so that what else the machine does falls on both alike.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GATE_VARIABLE, gateValue, putGate } from '../../../extension/workbench/session/terminal_gate';
import { dist } from '../../support/paths';
import { removeTemporaryDirectory, temporaryDirectory } from '../../support/temporary';

const ROUNDS = 4000;
/** Microseconds that a start may cost. */
const TARGET = 100;

/** Starts its first argument with each of the two environments in turn, and prints the microseconds of each start. */
const STARTER = `
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}
int main(int count, char **arguments) {
  char *with[] = {arguments[3], arguments[4], 0}, *without[] = {0}, *program[] = {arguments[1], 0};
  (void)count;
  for (int round = 0; round < 2 * atoi(arguments[2]); round++) {
    pid_t pid;
    int status;
    double begin = now();
    if (posix_spawn(&pid, program[0], 0, 0, program, round % 2 ? with : without) != 0) return 1;
    waitpid(pid, &status, 0);
    if (status != 0) return 2;
    printf("%.1f\\n", now() - begin);
  }
  return 0;
}
`;

interface Cost {
  readonly title: string;
  readonly without: number;
  readonly added: number;
}

/** The section of the report, as Markdown. */
export async function measure(): Promise<string> {
  const directory = temporaryDirectory();
  try {
    const lib = join(dist, 'native', 'lib');
    const { library, runtime } = await putGate(join(directory, 'storage'), lib, lib);
    const project = join(directory, 'project');
    mkdirSync(project);
    cpSync('/bin/true', join(project, 'true'));
    writeFileSync(join(directory, 'starter.c'), STARTER);
    const starter = join(directory, 'starter');
    execFileSync('gcc', ['-O2', join(directory, 'starter.c'), '-o', starter]);
    const gate = [`LD_PRELOAD=${library}:`, `${GATE_VARIABLE}=${await gateValue(runtime, [project])}`];
    const cost = (title: string, program: string): Cost => {
      const output = execFileSync(starter, [program, String(ROUNDS), ...gate], { encoding: 'utf8' });
      const times = output.trim().split('\n').map(Number);
      const without = median(times.filter((_, index) => index % 2 === 0));
      return { title, without, added: median(times.filter((_, index) => index % 2 === 1)) - without };
    };
    return report([
      cost('any program, `/bin/true`', '/bin/true'),
      cost('a program of the workspace, which gets the runtime', join(project, 'true')),
    ]);
  } finally {
    removeTemporaryDirectory(directory);
  }
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

function report(costs: readonly Cost[]): string {
  const rows = costs.map(
    ({ title, without, added }) => `| ${title} | ${Math.round(without)} | ${Math.round(added)} |`,
  );
  return `## Programs started in a terminal

Measured by \`node scripts/bench_terminals.mjs\` (also a part of \`npm run bench\`): starts with and without the library that stands in \`LD_PRELOAD\` of terminals (setting \`hotPatch.terminals\`), in turn, from \`posix_spawn\` to the end of the process. Microseconds, medians of ${ROUNDS.toLocaleString('en')} starts each; the target for programs outside of the workspace is ${TARGET}.

| started | without | the library adds |
| --- | ---: | ---: |
${rows.join('\n')}
`;
}
