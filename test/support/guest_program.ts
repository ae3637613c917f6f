// A C program with the runtime in it that does things of its own.
import { readdirSync, readFileSync } from 'node:fs';
import type { ProgramOptions, RuntimeProcess } from './runtime_process';

/** A program that answers each line with value(1), after what `setUp` does in main and `commands` do with the line. */
export const program = (setUp: string, commands = '', declarations = '') => `
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef EMBEDDED
#include "hot_fix.h"
#else
static int init_hot_fix_signal(void) { return 0; }
#endif
__attribute__((noipa)) int value(int n) { return n; }
${declarations}
int main(int argc, char **argv) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  ${setUp}
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "end", 3)) return 0;
    ${commands}
    printf("%d\\n", value(1));
  }
  return argc < 0 || !argv;
}`;
export const embedded: ProgramOptions = { runtime: 'embedded', flags: ['-DEMBEDDED'] };
export const init = 'if (init_hot_fix_signal() != 0) return 1;';
export const returning = (n: number) => `int new_value(int n) { return n + ${n}; }`;
export const addTo = (process: RuntimeProcess, n: number) =>
  process.patch(returning(n), { value: 'new_value' });
export const workers = (process: RuntimeProcess) =>
  readdirSync(`/proc/${process.pid}/task`).filter(
    (tid) => readFileSync(`/proc/${process.pid}/task/${tid}/comm`, 'utf8') === 'hot_fix\n',
  );
