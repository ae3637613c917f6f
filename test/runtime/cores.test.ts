// A program that crashes leaves the core that it would have left without us: the same signal and what came with it, the
// same instruction, the same frames in gdb; with the runtime in it, and when a thread is held first and then let crash.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { heldThread, hold, letCrash } from '../support/held';
import {
  inRuntimeSession,
  type ProgramOptions,
  type RuntimeProcess,
  type RuntimeSession,
} from '../support/runtime_process';
import { notUnderSanitizers } from '../support/sanitizers';

/** Crashes as each line of input says. No function is inlined: their frames are compared. */
const source = `
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stdexcept>
#define APART __attribute__((noinline))
extern "C" APART int value(int n) { asm volatile("" : "+r"(n)); return n; }
static volatile int zero;
static int *volatile nowhere;
static int (*volatile no_function)();
APART int null(int n) { *nowhere = n; return value(n) + 1; }
APART int divided(int n) { return value(n) / zero + 1; }
APART int aborted(int n) { if (value(n) == n) abort(); return n; }
APART int called(int n) { return no_function() + value(n); }
APART int illegal(int n) { if (value(n) == n) __builtin_trap(); return n; }
APART int trapped(int n) { asm volatile("int3"); return value(n) + 1; }
APART int thrown(int n) { if (value(n) == n) throw std::runtime_error("thrown"); return n; }
APART int kept(int n) noexcept { return thrown(n) + 1; }
APART int corrupted(int n) {
  volatile size_t *block = (volatile size_t *)malloc(3000);
  block[375] = 1;
  *(volatile char *)malloc(1 << 15) = 0;
  return value(n);
}
APART int beyond(int n) {
  char name[] = "file-XXXXXX";
  int file = mkstemp(name);
  unlink(name);
  nowhere = (int *)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return null(n);
}
APART int overflown(int n) { volatile char room[1000]; room[0] = n; return overflown(n + 1) + room[0]; }
static void *run(void *) { char room[65536]; stack_t own = {room, 0, sizeof room}; sigaltstack(&own, 0); overflown(1); return nullptr; }
static void *idle(void *) { for (;;) pause(); return nullptr; }
static void *crash(void *) { null(1); return nullptr; }
APART int threaded(void *(*what)(void *)) { pthread_t thread; pthread_create(&thread, 0, what, 0); return pthread_join(thread, 0); }
static const struct { const char *name; int (*crash)(int); } kinds[] = {
  {"null", null}, {"divided", divided}, {"aborted", aborted}, {"called", called}, {"illegal", illegal}, {"trapped", trapped},
  {"thrown", thrown}, {"kept", kept}, {"corrupted", corrupted}, {"beyond", beyond}, {"overflown", overflown}};
int main() {
  char line[64];
  pthread_t thread;
  setvbuf(stdout, 0, _IOLBF, 0);
  pthread_create(&thread, 0, idle, 0); // malloc goes another way in a process of one thread
  puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\\n")] = 0;
    for (auto &kind : kinds) if (!strcmp(line, kind.name)) printf("%d\\n", kind.crash(1));
    if (!strcmp(line, "threaded")) threaded(crash);
    if (!strcmp(line, "overflown in a thread")) threaded(run);
    printf("%d\\n", value(1));
  }
}`;

/** In the lower half of the address space there is nothing where the bytes of this entry would lead to, and nothing here
 * keeps the runtime from closing it by a trap. */
const trapping = `
#include <stdio.h>
__attribute__((naked, noinline)) int value(int n) { __asm__("push %rbp; mov %rsp,%rbp; mov %edi,%eax; pop %rbp; ret"); }
__attribute__((noinline)) int trapped(int n) { __asm__ volatile("int3"); return value(n) + 1; }
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d\\n", trapped(1));
  return 0;
}`;

interface Kind {
  command: string;
  signal: string;
  /** Of the program's own functions the innermost that gdb must show; none: the thread is not in one. */
  top?: string;
  /** It cannot be held: the kernel finds no stack for a handler, or the signal is not one of a crash. */
  isNeverHeld?: boolean;
  /** The kernel ends it in vain of a handler, and says that instead of where the fault was. */
  isForced?: boolean;
}

const KINDS: Readonly<Record<string, readonly Kind[]>> = {
  'of a fault': [
    { command: 'null', signal: 'SIGSEGV', top: 'null' },
    { command: 'threaded', signal: 'SIGSEGV', top: 'null' },
    { command: 'called', signal: 'SIGSEGV', top: 'called' },
    { command: 'divided', signal: 'SIGFPE', top: 'divided' },
    { command: 'illegal', signal: 'SIGILL', top: 'illegal' },
    { command: 'beyond', signal: 'SIGBUS', top: 'null' },
  ],
  'of abort() or an exception': [
    { command: 'aborted', signal: 'SIGABRT', top: 'aborted' },
    { command: 'corrupted', signal: 'SIGABRT', top: 'corrupted' },
    { command: 'thrown', signal: 'SIGABRT', top: 'thrown' },
    { command: 'kept', signal: 'SIGABRT', top: 'kept' },
  ],
  'of a trap or a signal from outside': [
    { command: 'trapped', signal: 'SIGTRAP', top: 'trapped', isNeverHeld: true },
    { command: 'kill SIGSEGV', signal: 'SIGSEGV' },
    { command: 'kill SIGABRT', signal: 'SIGABRT' },
  ],
  'of a stack that overflowed': [
    { command: 'overflown', signal: 'SIGSEGV', top: 'overflown', isNeverHeld: true, isForced: true },
    { command: 'overflown in a thread', signal: 'SIGSEGV', top: 'overflown' },
  ],
};

/** How a program comes to its end: without us, with the runtime in it, held before. */
const WAYS = ['none', 'preloaded', 'held'] as const;
type Way = (typeof WAYS)[number];

async function crashed(
  session: RuntimeSession,
  executable: string,
  { command, signal, isNeverHeld }: Kind,
  way: Way,
  prepare?: (process: RuntimeProcess) => Promise<unknown>,
): Promise<string> {
  const cwd = session.path(`${way}-${command.replaceAll(' ', '-')}`);
  mkdirSync(cwd);
  const options: ProgramOptions = { cwd, runtime: way === 'none' ? 'none' : 'preloaded' };
  const process = await session.start(executable, options);
  execFileSync('prlimit', ['--core=unlimited', '--pid', String(process.pid)]);
  await prepare?.(process);
  if (way === 'held') await hold(process, 'all');
  if (command.startsWith('kill ')) process.signal(signal as NodeJS.Signals);
  else process.program.send(command);
  if (way === 'held' && !isNeverHeld) letCrash(process, await heldThread(process));
  assert.equal(await process.program.exit(), signal, `${way}: ${command}`);
  const core = readdirSync(cwd).find((name) => name.startsWith('core'));
  assert.ok(core, `${way}: ${command} left no core`);
  return join(cwd, core);
}

/** What gdb says of each core, without what differs between any two processes: addresses, numbers of threads. */
function read(session: RuntimeSession, executable: string, cores: string[]): string[] {
  const mark = 'next core';
  const script = cores.flatMap((core) => [
    `core-file ${core}`,
    'bt 14',
    'frame 0',
    'info symbol $pc',
    'p $_siginfo.si_signo',
    'p $_siginfo.si_code',
    // Where a null pointer led: elsewhere it differs.
    'p $_siginfo._sifields._sigfault.si_addr < 4096',
    `echo ${mark}\\n`,
  ]);
  const settings = ['set debuginfod enabled off', 'set print frame-arguments presence', 'set width 0'];
  writeFileSync(session.path('script'), [...settings, ...script, ''].join('\n'));
  const args = ['-batch', '-nx', executable, '-x', session.path('script')];
  const said = execFileSync('gdb', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  return said
    .split(`${mark}\n`)
    .slice(0, cores.length)
    .map((text) =>
      text
        .split('\n')
        .filter((line) => /^(#|\$\d|Program terminated)| in section |^No symbol/.test(line))
        .join('\n')
        .replace(/^\$\d+/gm, '$')
        .replace(/0x[0-9a-f]+/g, '0x'),
    );
}

/** What must be the same. Which instruction meets the end of a stack depends on where the stack began; and a system call
 * that a signal met is about to be made again where there was a handler, not ended. */
function compared(text: string, { top, isForced }: Kind): string {
  const isAnywhere = top === 'overflown' || top === undefined;
  const said = isAnywhere
    ? text.replace(/ \+ \d+ in section/, ' in section').replace(/^(#\d+ +)0x in /gm, '$1')
    : text;
  return isForced ? said.replace(/\n\$ = \d+\n\$ = (true|false)$/, '') : said;
}

/** Where cores go to a program of the system, there is none to be read here. */
const isPiped = existsSync('/proc/sys/kernel/core_pattern')
  ? readFileSync('/proc/sys/kernel/core_pattern', 'latin1').startsWith('|')
  : false;

for (const [compiler, level] of [
  ['gcc', '-O0'],
  ['gcc', '-O2'],
  ['clang', '-O0'],
  ['clang', '-O2'],
] as const)
  (isPiped ? describe.skip : describe)(`the core of a program that crashes (${compiler} ${level})`, () => {
    const build = (session: RuntimeSession, text: string, language: 'c' | 'c++', ...more: string[]) => {
      notUnderSanitizers('cores are compared with those of programs without their libraries');
      return session.compile('program', text, { language, compiler, flags: [level, '-w', ...more] });
    };

    for (const [cause, kinds] of Object.entries(KINDS))
      it(
        `${cause} is what it would have been without us, also when a thread was held and is let crash`,
        inRuntimeSession(async (session) => {
          const executable = build(session, source, 'c++');
          const cores: string[] = [];
          for (const kind of kinds)
            cores.push(...(await Promise.all(WAYS.map((way) => crashed(session, executable, kind, way)))));
          const said = read(session, executable, cores);
          for (const [index, kind] of kinds.entries()) {
            const { command, top } = kind;
            const [alone, ...others] = said.slice(index * WAYS.length, (index + 1) * WAYS.length);
            assert.match(
              alone!,
              top === undefined ? /^#0 .*read \(/m : new RegExp(`^#\\d+ .*\\b${top} \\(`, 'm'),
              command,
            );
            for (const [other, text] of others.entries())
              assert.equal(compared(text, kind), compared(alone!, kind), `${WAYS[other + 1]}: ${command}`);
          }
        }),
      );

    it(
      'is the same for a breakpoint of its own where the runtime has closed entries by traps',
      inRuntimeSession(async (session) => {
        const executable = build(session, trapping, 'c', '-no-pie');
        const kind: Kind = { command: 'trapped', signal: 'SIGTRAP' };
        const patch = async (process: RuntimeProcess) => {
          const functions = [process.fix('value', 'new_value', { boundaries: 0b10011 })];
          const patched = await process.patch('int new_value(int n) { return n; }', {}, { functions });
          assert.equal(patched.functions[0]!.trampoline.method, 'int3');
        };
        const cores = [
          await crashed(session, executable, kind, 'none'),
          await crashed(session, executable, kind, 'preloaded', patch),
        ];
        const [alone, patched] = read(session, executable, cores);
        assert.match(alone!, /^#0 .*\btrapped \(/m);
        assert.equal(patched, alone);
      }),
    );
  });
