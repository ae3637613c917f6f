// Threads that crash and are held: the others go on meanwhile, and the thread goes on in each of the ways that are offered.
import { strict as assert } from 'node:assert';
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine } from '../../extension/engine/engine';
import type { HeldThread, HoldOptions, ResumeRequest } from '../../extension/engine/model/held';
import { inControlDirectory, ready } from '../support/engines';
import { runtimeEnvironment } from '../support/hot_patch';
import { Gdb } from '../support/debuggers';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { type Session, useSession } from '../support/session';
import { until } from '../support/until';

/** A server: each line `NAME NUMBER` is work for a thread of that name, which prints `NAME RESULT`; `ping` is answered by
 * the first thread. */
const main = `#include <pthread.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>
long work(long n, double factor);
long kind(long n);
extern "C" void mend();
extern "C" void mend_kinds();
extern "C" void touch() {}
extern "C" void change(long *n) { ++*n; }
struct Job { char name[16]; long n; };
static void *run(void *argument) {
  Job *job = static_cast<Job *>(argument);
  pthread_setname_np(pthread_self(), job->name);
  long result = job->n >= 2000 ? kind(job->n - 2000) : work(job->n, 0.5);
  char line[64];
  write(1, line, static_cast<size_t>(snprintf(line, sizeof line, "%s %ld\\n", job->name, result)));
  delete job;
  return nullptr;
}
int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  puts("ready");
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    Job job{};
    if (!strcmp(line, "ping\\n")) puts("pong");
    else if (!strcmp(line, "mend\\n")) mend(), mend_kinds(), puts("mended");
    else if (sscanf(line, "%15s %ld", job.name, &job.n) == 2) {
      pthread_t thread;
      pthread_create(&thread, nullptr, run, new Job(job));
      pthread_detach(thread);
    }
  }
}
`;
const unit = `#include <cstdlib>
#include <sys/mman.h>
struct Player { long gold; };
static Player rich = {100};
static Player *volatile player = &rich;
static Player *volatile none;
static Player *far = static_cast<Player *>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
extern "C" void mend() { player = &rich; mprotect(far, 4096, PROT_READ); }
__attribute__((noipa, noinline)) long loot(long n, double factor) {
  if (n == 1000) abort();
  return player->gold + static_cast<long>(static_cast<double>(n) * factor); // loot
}
long work(long n, double factor) {
  if (n < 0) player = nullptr;
  if (n < -100) { player = far; mprotect(far, 4096, PROT_NONE); }
  long sum = loot(n, factor);
  return sum + 1;
}
`;

/** The edit by which the program crashes: the player is looked up in a table that is empty. */
const lineOf = (text: string, what: string) => text.split('\n').findIndex((line) => line.includes(what)) + 1;

class Server {
  readonly engine: Engine;
  constructor(
    readonly session: Session,
    readonly program: Program,
  ) {
    this.engine = createEngine({ temporaryDirectory: session.path('tmp') });
  }

  static async start(session: Session, hold: HoldOptions, env: NodeJS.ProcessEnv = {}): Promise<Server> {
    session.write('unit.cc', unit);
    const server = new Server(session, await session.start('program', [], env));
    await server.inSession(async () => {
      const { pid } = server.program;
      await ready(server.engine, pid);
      assert.deepEqual(await server.engine.hold([pid], hold), []);
    });
    return server;
  }

  inSession<T>(call: () => Promise<T>): Promise<T> {
    return inControlDirectory(this.session, call);
  }

  held(count = 1): Promise<HeldThread[]> {
    return this.inSession(() =>
      until(
        () => this.engine.heldThreads(this.program.pid),
        (threads) => threads.length === count,
      ),
    );
  }

  resume(request: ResumeRequest): ReturnType<Engine['resume']> {
    return this.inSession(() => this.engine.resume(this.program.pid, request));
  }

  /** Other threads, and the first one, work. */
  async isServing(): Promise<void> {
    assert.equal(await this.program.ask('ping'), 'pong');
  }

  /** Another thread mends the data. */
  async mend(): Promise<void> {
    assert.equal(await this.program.ask('mend'), 'mended');
  }

  async stop(): Promise<void> {
    await this.program.stop();
    await this.engine.dispose();
  }
}

const ALL: HoldOptions = { mode: 'all' };

/** Functions that crash, with what they return when they are called again: right, or not offered. */
const kinds: readonly { name: string; text: string; call: string; result: number; refused?: RegExp }[] = [
  {
    name: 'kept',
    text: 'long kept(long n, int m) { touch(); return *nowhere + n * 10 + m; }',
    call: 'kept(7, -3)',
    result: 167,
  },
  {
    name: 'narrow',
    text: 'long narrow(signed char c, unsigned short s, float f) { touch(); return *nowhere + c + s + long(f); }',
    call: 'narrow(-5, 60000, 2.5f)',
    result: 60097,
  },
  {
    name: 'One::member',
    text: 'struct One { long a; long member(long n); };\nNEVER long One::member(long n) { touch(); return *nowhere + n + a; }',
    call: 'One{30}.member(4)',
    result: 134,
  },
  {
    name: 'made',
    text: 'Large made(long n) { Large all{}; touch(); all.a[0] = *nowhere + n; return all; }',
    call: 'made(9).a[0]',
    result: 109,
  },
  {
    // gcc has its caller call it with a stack pointer that is aligned to words only.
    name: 'leaf',
    text: 'static long leaf(long n) { return *nowhere + n; }\nNEVER long around(long n) { long sum = leaf(n); return sum + 1; }',
    call: 'around(5)',
    result: 106,
  },
  {
    name: 'assigned',
    text: 'long assigned(long n) { n += 5; touch(); return *nowhere + n; }',
    call: 'assigned(1)',
    result: 106,
    refused: /parameter 1 of assigned/,
  },
  {
    name: 'pointed',
    text: 'long pointed(long n) { change(&n); return *nowhere + n; }',
    call: 'pointed(1)',
    result: 102,
    refused: /parameter 1 of pointed/,
  },
  {
    name: 'many',
    text: 'long many(long a, long b, long c, long d, long e, long f, long g) { touch(); return *nowhere + a + b + c + d + e + f + g; }',
    call: 'many(1, 2, 3, 4, 5, 6, 7)',
    result: 128,
    refused: /takes arguments on the stack/,
  },
  {
    name: 'object',
    text: 'long object(Two two) { touch(); return *nowhere + two.a + two.b; }',
    call: 'object({1, 2})',
    result: 103,
    refused: /parameter 1 of object\(Two\) is an object/,
  },
  {
    name: 'twice',
    text: 'long twice(long n) { static jmp_buf back; if (setjmp(back) == 0) { n += 5; longjmp(back, 1); } return *nowhere + n; }',
    call: 'twice(1)',
    result: 106,
    refused: /may call setjmp/,
  },
  {
    name: 'chosen',
    text: `long chosen(long n) { long more = 0; switch (n) { case 1: more = 3; break; case 2: touch(); break; case 3: more = *nowhere; break;
      case 4: change(&more); break; case 5: more = 9; touch(); break; case 6: more = 7; } return more + n; }`,
    call: 'chosen(3)',
    result: 103,
    refused: /cannot be followed/,
  },
];
const kindsUnit = `#include <csetjmp>
#define NEVER __attribute__((noinline))
static long hundred = 100;
static long *volatile nowhere;
struct Two { long a, b; };
struct Large { long a[4]; };
extern "C" void touch();
extern "C" void change(long *);
${kinds.map(({ text }) => (text.startsWith('struct') ? text : `NEVER ${text}`)).join('\n')}
extern "C" void mend_kinds() { nowhere = &hundred; }
long kind(long n) {
  nowhere = nullptr;
  long result = 0;
  switch (n) {
${kinds.map(({ call }, index) => `  case ${index}: result = ${call}; break;`).join('\n')}
  }
  touch();
  return result;
}
`;

for (const [compiler, level] of [
  ['g++', '-O0'],
  ['g++', '-O2'],
  ['clang++', '-O0'],
  ['clang++', '-O2'],
] as const)
  describe(`a thread that is held after a crash (${compiler} ${level})`, () => {
    const world = useSession(async (session) => {
      session.write('main.cc', main);
      session.write('unit.cc', unit);
      session.write('kinds.cc', kindsUnit);
      await session.build({
        sources: ['main.cc', 'unit.cc', 'kinds.cc'],
        flags: [level, '-g', '-pthread'],
        compiler,
      });
    });
    const serving = (hold: HoldOptions, test: (server: Server) => Promise<void>) => async () => {
      const server = await Server.start(world.session, hold);
      try {
        await test(server);
      } finally {
        await server.stop();
      }
    };

    it(
      'goes on at the instruction that failed, when the data was mended; the others work meanwhile',
      serving(ALL, async (server) => {
        server.program.send('raid -108');
        const [thread] = await server.held();
        assert.equal(thread!.thread, 'raid');
        assert.equal(thread!.signal, 'SIGSEGV');
        assert.match(thread!.cause, /^access denied to address/);
        assert.equal(thread!.frames[0]!.function, 'loot(long, double)');
        assert.equal(thread!.frames[0]!.line, lineOf(unit, '// loot'));
        await server.isServing();
        await server.mend();
        assert.equal(await server.resume({ tid: thread!.tid, kind: 'instruction' }), undefined);
        assert.equal(await server.program.line(), 'raid -53');
        assert.deepEqual(await server.held(0), []);
        await server.isServing();
      }),
    );

    it(
      'returns from a frame or two, with zero or a result, and the thread that called abort() too',
      serving(ALL, async (server) => {
        const goOn = async (work: string, request: Omit<ResumeRequest, 'tid'>, printed: string) => {
          server.program.send(work);
          const [thread] = await server.held();
          await server.isServing();
          assert.equal(await server.resume({ ...request, tid: thread!.tid }), undefined);
          assert.equal(await server.program.line(), printed);
          await server.mend();
        };
        await goOn('raid -8', { kind: 'return' }, 'raid 1');
        await goOn('raid -8', { kind: 'return', frames: 1, result: '-42' }, 'raid -41');
        await goOn('raid -8', { kind: 'return', frames: 2, result: '0x10' }, 'raid 16');
        // Twice: abort() keeps no lock.
        await goOn('end 1000', { kind: 'return', result: '7' }, 'end 8');
        await goOn('end 1000', { kind: 'return', result: '6' }, 'end 7');
      }),
    );

    it(
      'is mended by a save, and calls the function again with its arguments; each frame of its stack can be edited',
      serving({ mode: 'patched' }, async (server) => {
        const { session, program } = server;
        // What nobody patched is not held: see below. Now loot() is patched, and wrong.
        session.edit('unit.cc', 'return player->gold', 'Player *none = ::none; return none->gold');
        await session.patch(['unit.cc', '--pid', String(program.pid)]);
        for (const name of ['raid', 'siege']) program.send(`${name} 8`);
        const threads = await server.held(2);
        assert.deepEqual(threads.map(({ thread }) => thread).sort(), ['raid', 'siege']);
        for (const { frames } of threads) {
          assert.equal(frames[0]!.function, 'loot(long, double)');
          assert.equal(frames[0]!.version, 1);
        }
        await server.isServing();
        session.edit('unit.cc', 'Player *none = ::none; return none->gold', 'return 1000 + player->gold');
        await session.patch(['unit.cc', '--pid', String(program.pid)]);
        await server.isServing();
        for (const { tid, thread, ways, refused } of threads) {
          const way = ways.find(({ kind, frames }) => kind === 'call' && frames === 1);
          assert.ok(way, JSON.stringify(refused));
          assert.equal(await server.resume({ tid, kind: 'call' }), undefined);
          assert.equal(await program.line(), `${thread} 1105`);
        }
        await server.isServing();
        // Its old code is left for good.
        program.send('raid 10');
        assert.equal(await program.line(), 'raid 1106');
      }),
    );

    it(
      'is offered to be called again only with the arguments that it was called with',
      serving(ALL, async (server) => {
        for (const [index, { name, result, refused }] of kinds.entries()) {
          server.program.send(`kind ${2000 + index}`);
          const [thread] = await server.held();
          const { tid, frames } = thread!;
          assert.ok(frames[0]!.function!.startsWith(`${name}(`), `${name}: ${frames[0]!.function}`);
          await server.mend();
          const way = thread!.ways.find((one) => one.kind === 'call' && one.frames === 1);
          const why = thread!.refused.find((one) => one.kind === 'call' && one.frames === 1)?.reason;
          // Optimised code may still have what unoptimised code has not.
          if (level === '-O0') assert.equal(way === undefined, refused !== undefined, `${name}: ${why}`);
          if (why !== undefined) assert.match(why, refused ?? / is not known any more$/, name);
          else assert.notEqual(name, 'twice');
          const request: ResumeRequest = way ? { tid, kind: 'call' } : { tid, kind: 'return', frames: 2 };
          assert.equal(await server.resume(request), undefined, name);
          assert.equal(await server.program.line(), `kind ${way ? result : 0}`, name);
        }
      }),
    );

    it(
      'crashes as it would have',
      serving(ALL, async (server) => {
        server.program.send('raid -8');
        const [thread] = await server.held();
        await server.isServing();
        // Not even when the instruction would not fail any more.
        await server.mend();
        assert.equal(await server.resume({ tid: thread!.tid, kind: 'crash' }), undefined);
        assert.equal(await server.program.exit(), 'SIGSEGV');
      }),
    );
  });

describe('threads that are held, on the command line', () => {
  const world = useSession(async (session) => {
    session.write('main.cc', main);
    session.write('unit.cc', unit);
    session.write('kinds.cc', kindsUnit);
    await session.build({ sources: ['main.cc', 'unit.cc', 'kinds.cc'], flags: ['-O0', '-g', '-pthread'] });
  });

  it('are told of by `watch --hold`, listed, and go on; when the watch ends, they crash', async () => {
    const { session } = world;
    const program = await session.start();
    const watching = await session.startCommand(process.execPath, [
      cli,
      'watch',
      '--hold',
      'all',
      '--pid',
      String(program.pid),
    ]);
    await watching.errorLine(/threads of program \(process \d+\) are held/);
    program.send('raid -8');
    const told = await watching.errorLine(/ is held: /);
    assert.match(told, /\(raid\) is held: SIGSEGV, null pointer \(address 0x0\)$/);
    const { stdout } = await session.hotPatch('held', String(program.pid));
    assert.match(stdout, /#0 loot\(long, double\) at .*unit\.cc:\d+/);
    const tid = /thread (\d+) \(raid\)/.exec(stdout)![1]!;
    const refused = await session.hotPatch('resume', String(program.pid), tid, 'return=many');
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /"many" cannot be returned: it is no whole number/);
    const done = await session.hotPatch('resume', String(program.pid), tid, 'return=41');
    assert.equal(done.stdout, `thread ${tid} goes on\n`);
    assert.equal(await program.line(), 'raid 42');
    const again = await session.hotPatch('resume', String(program.pid), tid, 'crash');
    assert.match(again.stderr, /not-held/);

    program.send('raid -8');
    await watching.errorLine(/ is held: /);
    process.kill(watching.pid, 'SIGINT');
    assert.equal(await program.exit(), 'SIGSEGV');
    await watching.exit();
  });

  it('are those of a program that a debugger is attached to once it has left, which stops for nothing until then', async () => {
    const { session } = world;
    const program = await session.start();
    await session.hotPatch('status', String(program.pid));
    const gdb = await Gdb.attach(program.pid);
    await gdb.resume();
    const other = await session.start();
    const pids = [program, other].flatMap(({ pid }) => ['--pid', String(pid)]);
    const watching = await session.startCommand(process.execPath, [cli, 'watch', '--hold', 'all', ...pids]);
    // Of those that are looked at it is the second.
    await watching.errorLine(new RegExp(`process ${other.pid}\\) are held`));
    const before = gdb.stops.length;
    await gdb.end();
    await watching.errorLine(new RegExp(`process ${program.pid}\\) are held`));
    assert.equal(before, 1, gdb.stops.join('\n')); // as it was attached
    program.send('raid -8');
    await watching.errorLine(/ is held: /);
    process.kill(watching.pid, 'SIGINT');
    assert.equal(await program.exit(), 'SIGSEGV');
    await watching.exit();
    await other.stop();
  });

  it('are those of programs that were built from the watched folder; others crash as ever', async () => {
    const { session } = world;
    const program = await session.start();
    const other = await session.startCommand('/bin/cat', [], runtimeEnvironment());
    other.send('here');
    assert.equal(await other.line(), 'here');
    const { engine } = new Server(session, program);
    const inOne = (folder: string) => engine.isFrom(other.pid, [folder]);
    assert.deepEqual([await inOne(session.directory), await inOne('/usr/bin')], [false, true]);
    const watching = await session.startCommand(process.execPath, [cli, 'watch', '--hold', 'all', '.']);
    await watching.errorLine(/threads of program \(process \d+\) are held/);
    program.send('raid -8');
    await watching.errorLine(/ is held: /);
    process.kill(other.pid, 'SIGSEGV');
    assert.equal(await other.exit(), 'SIGSEGV');
    process.kill(watching.pid, 'SIGINT');
    assert.equal(await program.exit(), 'SIGSEGV');
    await watching.exit();
    await engine.dispose();
  });
});
