// Crash, edit, go on, all day (`npm run soak held`): a server with clients gets a null dereference by a save, the thread that
// meets it is held, and goes on in each of the ways, round after round. No client is disconnected, and none waits but the one
// whose thread is held.
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Engine } from '../../extension/engine/engine';
import type { HeldThread, ResumeRequest } from '../../extension/engine/model/held';
import { ready, withEngine } from '../support/engines';
import { mappings } from '../support/memory';
import type { Program } from '../support/program';
import { inSession, type Session } from '../support/session';
import { until } from '../support/until';
import { Client } from '../workbench/service';

const rounds = Number(process.env['SOAK_ROUNDS'] ?? 500);

/** A thread for each client. `loot N` is answered with what work() makes of it; `lose` and `mend` take the data away and
 * bring it back; `ping` is answered in any case. */
const main = `#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
long work(long n);
extern "C" void lose();
extern "C" void mend();
static void *serve(void *argument) {
  FILE *in = fdopen(static_cast<int>(reinterpret_cast<long>(argument)), "r+");
  char line[64];
  while (fgets(line, sizeof line, in)) {
    long answer = 0;
    if (!strncmp(line, "loot", 4)) answer = work(atol(line + 4));
    else if (!strncmp(line, "lose", 4)) lose();
    else if (!strncmp(line, "mend", 4)) mend();
    fseek(in, 0, SEEK_CUR);
    fprintf(in, "%ld\\n", answer);
    fflush(in);
  }
  fclose(in);
  return nullptr;
}
int main() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 8) != 0) return 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    pthread_t thread;
    long connection = accept(listener, nullptr, nullptr);
    if (connection >= 0 && pthread_create(&thread, nullptr, serve, reinterpret_cast<void *>(connection)) == 0)
      pthread_detach(thread);
  }
}
`;
/** @param gold the expression that loot() reads it by */
const unit = (gold: string) => `#include <sys/mman.h>
struct Player { long gold; };
static Player rich = {100};
static Player *volatile player = &rich;
static Player *volatile none;
static Player *far = static_cast<Player *>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
extern "C" void lose() { player = far; mprotect(far, 4096, PROT_NONE); }
extern "C" void mend() { player = &rich; mprotect(far, 4096, PROT_READ); }
__attribute__((noinline)) static long loot(long n) {
  return ${gold} + n;
}
long work(long n) {
  long sum = loot(n);
  return sum + 1;
}
`;
const CRASHES = 'none->gold';

class World {
  private readonly file: string;

  constructor(
    private readonly session: Session,
    private readonly program: Program,
    private readonly engine: Engine,
    readonly clients: readonly Client[],
  ) {
    this.file = session.path('unit.cc');
  }

  /** What is patched, or went back to what was built. */
  async save(gold: string): Promise<void> {
    this.session.write('unit.cc', unit(gold));
    const result = await this.engine.patch({ files: [this.file], target: { kind: 'match' } });
    assert.ok(
      result.outcome === 'patched' || result.outcome === 'reverted',
      JSON.stringify([result.outcome, result.refusals]),
    );
  }

  held(count: number): Promise<HeldThread[]> {
    return until(
      () => this.engine.heldThreads(this.program.pid),
      (threads) => threads.length === count,
    );
  }

  async goesOn(thread: HeldThread, request: Omit<ResumeRequest, 'tid'>): Promise<void> {
    assert.equal(
      await this.engine.resume(this.program.pid, { ...request, tid: thread.tid, id: thread.id }),
      undefined,
    );
  }

  /** Whoever is not concerned gets answers all the time. */
  async isServing(): Promise<void> {
    assert.equal(await this.clients.at(-1)!.ask('ping'), '0');
  }
}

/** Each of the ways on that the process survives. */
const ways: readonly ((world: World, round: number) => Promise<void>)[] = [
  // The call again, by the function that was saved meanwhile.
  async (world, round) => {
    await world.save(CRASHES);
    const answers = world.clients.slice(0, 2).map((client, index) => client.ask(`loot ${index}`));
    const threads = await world.held(2);
    await world.isServing();
    await world.save(`player->gold + ${round}`);
    await world.isServing();
    for (const thread of threads) await world.goesOn(thread, { kind: 'call' });
    assert.deepEqual(await Promise.all(answers), [String(101 + round), String(102 + round)]);
  },
  // As if the function had returned, with a result and without one.
  async (world, round) => {
    await world.save(CRASHES);
    for (const result of [round, undefined]) {
      const answer = world.clients[0]!.ask('loot 7');
      const [thread] = await world.held(1);
      await world.isServing();
      await world.goesOn(thread!, {
        kind: 'return',
        ...(result !== undefined && { result: String(result) }),
      });
      assert.equal(await answer, String((result ?? 0) + 1));
    }
    await world.save(`player->gold + ${round}`);
  },
  // As if two had, from code of a patch and from the program's own.
  async (world, round) => {
    await world.save(CRASHES);
    const answer = world.clients[1]!.ask('loot 7');
    const [thread] = await world.held(1);
    await world.save(`player->gold + ${round}`);
    await world.goesOn(thread!, { kind: 'return', frames: 2, result: String(-round) });
    assert.equal(await answer, String(-round));
  },
  // The instruction again, when another thread has mended the data.
  async (world) => {
    await world.clients[2]!.ask('lose');
    const answer = world.clients[0]!.ask('loot 3');
    const [thread] = await world.held(1);
    await world.clients[1]!.ask('mend');
    await world.goesOn(thread!, { kind: 'instruction' });
    assert.match(await answer, /^\d+$/);
  },
];

const memoryOf = (pid: number) => ({
  mappings: mappings(pid).length,
  threads: readdirSync(`/proc/${pid}/task`).length,
  rss: Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]),
});

describe('a server whose threads crash, are held and go on', () => {
  for (const [compiler, level] of [
    ['g++', '-O0'],
    ['g++', '-O2'],
    ['clang++', '-O0'],
    ['clang++', '-O2'],
  ] as const)
    it(
      `serves its clients through ${rounds} crashes (${compiler} ${level})`,
      inSession(async (session) => {
        session.write('main.cc', main);
        session.write('unit.cc', unit('player->gold'));
        await session.build({
          sources: ['main.cc', 'unit.cc'],
          flags: [level, '-g', '-pthread'],
          compiler,
        });
        const program = await session.start();
        const { pid } = program;
        const clients = await Promise.all([0, 1, 2, 3].map(() => Client.connect(pid)));
        try {
          await withEngine(session, async (engine) => {
            const world = new World(session, program, engine, clients);
            await ready(engine, pid);
            assert.deepEqual(await engine.hold([pid], { mode: 'all' }), []);
            const settled = Math.min(8, rounds);
            let before = memoryOf(pid);
            for (let round = 1; round <= rounds; round++) {
              await ways[round % ways.length]!(world, round);
              await world.held(0);
              if (round === settled) before = memoryOf(pid);
            }
            // Patches stay while a thread is held, which in this hurry one nearly always is.
            for (let quiet = 1; quiet <= 10; quiet++) {
              await world.save(`player->gold + ${rounds + quiet}`);
              await setTimeout(200);
            }
            const now = memoryOf(pid);
            console.log(`      after ${settled} rounds and after all: ${JSON.stringify([before, now])}`);
            assert.equal(now.threads, before.threads);
            assert.ok(now.mappings - before.mappings < 32, 'mappings that are never given back');
            assert.ok(now.rss - before.rss < 1024, 'memory that is never given back');
            await world.save(CRASHES);
            void clients[0]!.ask('loot 1');
            const [last] = await world.held(1);
            await world.isServing();
            await engine.resume(pid, { tid: last!.tid, kind: 'crash' });
            assert.equal(await program.exit(), 'SIGSEGV');
          });
        } finally {
          for (const client of clients) client.close();
        }
      }),
    );
});
