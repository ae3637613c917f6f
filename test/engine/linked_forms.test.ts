// What linkers make of references: each of them, for each kind of executable, is compared with what a save without
// an edit compiles, of which every function must be found to be the same. Real compilers and linkers, no process.
import { strict as assert } from 'node:assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_DECLARATIONS } from '../../extension/engine/compare/static_variables';
import { UnitComparison } from '../../extension/engine/compare/unit';
import { ElfFile } from '../../extension/engine/elf/file';
import { ObjectFile } from '../../extension/engine/elf/object';
import { Image, LiveImage } from '../../extension/engine/live/live_image';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

/** References of each kind: to what another unit, a library, nobody and the unit itself defines. */
const SOURCE = `
#include <stdio.h>
#include <stdlib.h>
#define WEAK __attribute__((weak))
extern WEAK long absent(long n);
extern WEAK int absent_int;
extern WEAK int absent_array[4];
extern int there(int n);
extern int there_int, there_array[4];
extern _Thread_local int there_thread;
extern WEAK int weakly_there(int n);
static _Thread_local int own_thread = 3, own_thread_zero;
_Thread_local int shown_thread = 4;
static int own_int = 5;
int shown_int = 6;
void *kept[] = {(void *)absent, &absent_int, (void *)there, &there_int, (void *)puts};

long calls_absent(long n) { return absent ? absent(n) : n * 3; }
long calls_absent_anyway(long n) { return absent(n) + 1; }
long jumps_to_absent(long n) { return absent(n); }
void *address_of_absent(void) { return (void *)absent; }
void *address_of_absent_data(void) { return &absent_int; }
void *address_of_absent_element(void) { return &absent_array[2]; }
int reads_absent(void) { return &absent_int ? absent_int : 7; }
int adds_absent(int n) { return absent_int + absent_array[3] * n; }
void writes_absent(void) { absent_int = 7; absent_array[1] += 4; }
int compares_absent(void *p) { return p == (void *)absent; }
int compares_absent_data(void *p) { return p == &absent_int || p > (void *)&absent_array[1]; }
long subtracts_absent(long n) { return n - (long)&absent_int; }
long combines_absent(long n) { return (n ^ (long)&absent_int) | (n & (long)absent_array) | (n + (long)absent); }
void pushes_absent(void (*f)(void *, void *)) { f(&absent_int, (void *)absent); }
int tests_absent(void) { return ((long)&absent_int & 0xff) != 0; }
int calls_there(int n) { return there(n) + 1; }
int jumps_there(int n) { return there(n); }
void *address_of_there(void) { return (void *)there; }
int *address_of_data(void) { return &there_int; }
int *address_of_element(void) { return &there_array[2]; }
int uses_data(int n) { there_int += n; there_array[1] = 6; return there_int > 5 ? there_array[n] : shown_int; }
int compares_there(void *p) { return p == (void *)there || p == &there_int; }
long combines_there(long n) { return (n ^ (long)&there_int) | (n & (long)there_array) | (n + (long)there); }
long subtracts_there(long n) { return n - (long)&there_int; }
void pushes_there(void (*f)(void *, void *)) { f(&there_int, (void *)there); }
int calls_weakly_there(int n) { return weakly_there ? weakly_there(n) : 2; }
int thread_there(int n) { there_thread += n; return there_thread * 2; }
int *address_of_thread_there(void) { return &there_thread; }
int thread_own(int n) { own_thread += n; return own_thread * 2 + own_thread_zero++; }
int *address_of_thread_own(void) { return &own_thread; }
int thread_shown(int n) { shown_thread += n; return shown_thread * 2; }
int *address_of_thread_shown(void) { return &shown_thread; }
int library(const char *text) { puts(text); fputs(text, stderr); return atoi(text); }
void *address_of_library(void) { return (void *)puts; }
int compares_library(void *p) { return p == (void *)puts || p == (void *)stdout; }
void jumps_to_library(void) { abort(); }
int own(int n) { own_int += n; shown_int += n; return own_int * there(shown_int); }
void **table(void) { return kept; }
__attribute__((noinline)) static int near(int n) { __asm__ volatile(""); return n + 1; }
int near_and_thread(int n) { there_thread = own_thread += n; return near(n); }
int near_and_general(int n) { shown_thread += n; return near(n); }
int near_and_library(int n) { if (n == 1) return near(n); puts("near"); return there(n); }
int near_and_absent(int n) { if (n == 1) return near(n); return absent ? absent(n) : 7; }
`;
const OTHER = `int there_int = 5, there_array[4] = {1, 2, 3, 4};
_Thread_local int there_thread = 6;
int there(int n) { return n; }
int weakly_there(int n) { return n + 1; }
int main() { return 0; }
`;

const KINDS: readonly { flags: readonly string[]; link: readonly string[] }[] = [
  { flags: ['-fno-pie'], link: ['-no-pie'] },
  { flags: ['-fno-pie'], link: ['-no-pie', '-static'] },
  { flags: ['-fpie'], link: ['-pie'] },
  { flags: ['-fpie'], link: ['-static-pie'] },
  { flags: ['-fPIC'], link: ['-no-pie'] },
  { flags: ['-fPIC'], link: ['-pie'] },
  { flags: ['-fPIC'], link: ['-shared'] },
  { flags: ['-fPIC', '-fvisibility=hidden'], link: ['-shared'] },
  { flags: ['-fno-pie', '-fno-plt'], link: ['-no-pie'] },
  { flags: ['-fno-pie', '-fno-plt'], link: ['-no-pie', '-static'] },
  { flags: ['-fPIC', '-fno-plt'], link: ['-no-pie'] },
  { flags: ['-fPIC', '-fno-plt'], link: ['-pie'] },
  { flags: ['-fPIC', '-fno-plt'], link: ['-static-pie'] },
  { flags: ['-fPIC', '-fno-plt'], link: ['-shared'] },
  { flags: ['-fpie'], link: ['-pie', '-Wl,--no-relax'] },
  { flags: ['-fPIC', '-fcf-protection=full'], link: ['-pie', '-Wl,-z,now'] },
];

const LEVELS = ['-O2', '-Os', '-O0'];

const isInstalled = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

describe('the code that a linker wrote is that of its object', () => {
  const directory = temporaryDirectory();
  after(() => removeTemporaryDirectory(directory));
  writeFileSync(join(directory, 'unit.c'), SOURCE);
  writeFileSync(join(directory, 'other.c'), OTHER);
  const run = (program: string, ...args: string[]): void =>
    void execFileSync(program, args, { cwd: directory, stdio: 'pipe' });

  for (const [place, linker] of ['bfd', 'gold', 'lld', 'mold'].entries())
    for (const compiler of ['gcc', 'clang']) {
      const absent = [compiler, `ld.${linker}`.replace('ld.mold', 'mold')].find((each) => !isInstalled(each));
      if (absent !== undefined) {
        it(`not run: ${absent} not installed`);
        continue;
      }
      for (const [index, { flags, link }] of KINDS.entries()) {
        // gold of binutils knows neither of them.
        if (linker === 'gold' && (link.includes('-static-pie') || link.includes('-Wl,--no-relax'))) continue;
        // Another one of each linker and compiler.
        const level = LEVELS[(index + place) % LEVELS.length]!;
        it(`${linker}, ${compiler} ${[level, ...flags, ...link].join(' ')}`, () => {
          const compile = ['-w', '-c', level, ...flags];
          run(compiler, ...compile, '-o', 'built.o', 'unit.c');
          run(compiler, ...compile, '-o', 'other.o', 'other.c');
          run(compiler, ...link, `-fuse-ld=${linker}`, '-o', 'module', 'built.o', 'other.o');
          // As a save compiles it: branches between its functions are long.
          run(compiler, ...compile, '-ffunction-sections', '-fdata-sections', '-o', 'unit.o', 'unit.c');
          const module = ElfFile.open(join(directory, 'module'));
          const bias = module.type === 3 ? 0x7000_0000_0000 : 0;
          const object = new ObjectFile(ElfFile.open(join(directory, 'unit.o')), join(directory, 'unit.c'));
          const { functions } = new UnitComparison(
            object,
            new LiveImage(new Image(module, bias, 'module'), []),
            new Map(),
            {
              entries: () => undefined,
              decides: () => true,
              closures: { fresh: () => undefined, of: () => undefined },
              declarations: NO_DECLARATIONS,
            },
          );
          const others = functions.filter(({ status }) => status !== 'same');
          assert.deepEqual(
            others.map(({ fn, status }) => `${fn.symbol.name} is ${status}`),
            [],
          );
        });
      }
    }
});
