// A save in which somebody is killed or the disk is full, by the command line as users call it. After each the program
// is old or new, the next save works, and neither the temporary nor the control directory keeps anything of it.
import { strict as assert } from 'node:assert';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli } from '../support/paths';
import type { Program } from '../support/program';
import { Session } from '../support/session';

const unit = (value: number) =>
  `int first(void) { return ${value}; }\nint second(void) { return ${value}; }\n`;
const main = `
#include <stdio.h>
int first(void), second(void);
int main(void) {
  char line[64];
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin)) printf("%d %d\\n", first(), second());
  return 0;
}`;

/** A workspace with a program of two functions, which each save changes alike. */
class World {
  readonly session = new Session();
  program!: Program;
  private value = 0;

  async start(): Promise<void> {
    this.session.write('unit.c', unit(0));
    this.session.write('main.c', main);
    const compiler = this.session.write(
      'compiler',
      '#!/bin/sh\n[ -e kill-the-compiler ] && kill -9 $$\nexec gcc "$@"\n',
    );
    chmodSync(compiler, 0o755);
    await this.session.build({ sources: ['unit.c', 'main.c'], flags: ['-g'], compiler });
    await this.restart();
  }

  async restart(): Promise<void> {
    this.program = await this.session.start();
    await this.isFound();
    this.value = 0;
  }

  /** Waits until engines can find the program. */
  private async isFound(): Promise<void> {
    while (!readdirSync(this.session.path('run')).some((name) => this.hasStatus(name))) await pause(5);
  }

  private hasStatus(name: string): boolean {
    return existsSync(this.session.path('run', name, String(this.program.pid), 'status.json'));
  }

  /** Edits the unit, and starts to save it. `said` grows to all that the engine prints. */
  save(): { engine: ChildProcess; ended: Promise<number | null>; said: string[] } {
    this.value++;
    this.session.write('unit.c', unit(this.value));
    const engine = spawn(process.execPath, [cli, 'patch', this.session.path('unit.c')], {
      ...this.session.options,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: string[] = [];
    for (const stream of [engine.stdout, engine.stderr])
      stream.on('data', (text: Buffer) => said.push(String(text)));
    return { engine, ended: once(engine, 'close').then(([status]) => status as number | null), said };
  }

  /** Both functions are old or both new. */
  async isWhole(): Promise<void> {
    const [first, second] = (await this.program.ask('')).split(' ').map(Number);
    assert.ok(first === second && first! >= 0 && first! <= this.value, `${first} and ${second}`);
  }

  /** The save of the text as it is succeeds, and leaves nothing. */
  async isFine(): Promise<void> {
    await this.isWhole();
    const { ended, said } = this.save();
    assert.equal(await ended, 0, said.join(''));
    assert.equal(await this.program.ask(''), `${this.value} ${this.value}`);
    assert.deepEqual(readdirSync(this.session.path('tmp')), []);
    const control = readdirSync(this.session.path('run')).map((name) => this.session.path('run', name));
    const processes = control.flatMap((path) => readdirSync(path).map((name) => join(path, name)));
    assert.deepEqual(
      processes.map((path) => Number(path.split('/').at(-1))),
      [this.program.pid],
    );
    for (const name of ['requests', 'answers']) assert.deepEqual(readdirSync(join(processes[0]!, name)), []);
  }
}

async function inWorld(test: (world: World) => Promise<void>): Promise<void> {
  const world = new World();
  try {
    await world.start();
    await test(world);
  } finally {
    await world.session.dispose();
  }
}

/** How long a save takes, in milliseconds. */
async function duration(world: World): Promise<number> {
  const begin = performance.now();
  assert.equal(await world.save().ended, 0);
  return performance.now() - begin;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Kills somebody at times that are spread over the save. */
async function killWhile(
  rounds: number,
  victim: (world: World, engine: ChildProcess) => number,
): Promise<void> {
  await inWorld(async (world) => {
    const whole = await duration(world);
    for (let round = 0; round < rounds; round++) {
      const { engine, ended } = world.save();
      await pause((whole * (round + 0.5)) / rounds);
      try {
        process.kill(victim(world, engine), 'SIGKILL');
      } catch {
        // It has ended already.
      }
      await ended;
      if (!world.program.running || victim(world, engine) === world.program.pid) {
        await world.program.exit();
        await world.restart();
      }
      await world.isFine();
    }
  });
}

/** Leaves so many bytes of a file system free, runs the test, and gives the rest back. */
async function whileFull(directory: string, free: number, test: () => Promise<void>): Promise<void> {
  const filler = join(directory, '.filler');
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - free)));
  try {
    await test();
  } finally {
    rmSync(filler);
  }
}

async function onSmallDisk(folder: 'tmp' | 'run', sizes: readonly number[]): Promise<void> {
  const world = new World();
  const directory = world.session.path(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'hot_patch_test', directory]);
  try {
    await world.start();
    for (const free of sizes) {
      await whileFull(directory, free, async () => {
        const status = await world.save().ended;
        assert.ok(
          status !== null && status >= 0 && status <= 4,
          `with ${free} bytes the engine ends with ${status}`,
        );
        await world.isWhole();
      });
      await world.isFine();
    }
  } finally {
    await world.program.stop();
    execFileSync('umount', [directory]);
    await world.session.dispose();
  }
}

/** Mounting a file system of its own takes root. */
export const canMount = process.getuid!() === 0;
const sizes = (count: number) => Array.from({ length: count }, (_, i) => (i === 0 ? 0 : 2048 << i));

/** What can befall a save, each in a number of rounds. */
export const FAULTS: Record<string, (rounds: number) => Promise<void>> = {
  'the engine is killed': (rounds) => killWhile(rounds, (_, engine) => engine.pid!),
  'the program is killed': (rounds) => killWhile(rounds, ({ program }) => program.pid),
  'the compiler is killed': (rounds) =>
    inWorld(async (world) => {
      for (let round = 0; round < rounds; round++) {
        const mark = world.session.write('kill-the-compiler', '');
        assert.notEqual(await world.save().ended, 0);
        rmSync(mark);
        await world.isFine();
      }
    }),
  'two engines save at once': (rounds) =>
    inWorld(async (world) => {
      for (let round = 0; round < rounds; round++) {
        const [one, other] = [world.save(), world.save()];
        for (const status of await Promise.all([one.ended, other.ended]))
          assert.ok(status !== null && status <= 4, `an engine ends with ${status}`);
        await world.isFine();
      }
    }),
  'the temporary directory is full': (rounds) => onSmallDisk('tmp', sizes(rounds)),
  'the control directory is full': (rounds) => onSmallDisk('run', sizes(rounds)),
};
