// What a save does when the files between engine and runtime are not as they left them: the process lives, nothing is
// lost in silence, and the next save works or says why not.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createSweeper } from '../../extension/engine/process/left_overs';
import { controlDirectory } from '../support/memory';
import { inSession, type Session, Unit } from '../support/session';

const source = `long value(long n) { return n * 2; }
`;
const counting = 'static long calls = 0; return n * 2 + ++calls;';

function directoryOf(session: Session, pid: number): string {
  return controlDirectory(session.path('run'), pid)!;
}

const ownNamespace = () => /\d+/.exec(readlinkSync('/proc/self/ns/pid'))![0];

describe('a patch file that runs in the process', () => {
  it(
    'is not needed to exist by the process; a save without it is refused by name, and works when it is back',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('return n * 2;', counting);
      assert.equal(await unit.value(10), 21);
      const patches = join(directoryOf(session, unit.program.pid), 'patches');
      const [name] = readdirSync(patches);
      renameSync(join(patches, name!), session.path('away'));
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const refused = await session.refused('unit.cc', 'patch-file-missing');
      assert.match(refused.refusals[0]!.message, /does not exist/);
      assert.equal(await unit.value(10), 22);
      writeFileSync(join(patches, name!), 'no ELF file');
      await session.refused('unit.cc', 'patch-file-missing');
      rmSync(join(patches, name!));
      renameSync(session.path('away'), join(patches, name!));
      await session.patch('unit.cc');
      assert.equal(await unit.value(10), 33, 'the variable that the first patch brought keeps its value');
    }),
  );
});

describe('a status that the runtime could not write', () => {
  it(
    'is asked for again before anything is compared, so that what earlier patches brought is kept',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('return n * 2;', counting);
      assert.equal(await unit.value(10), 21);
      rmSync(join(directoryOf(session, unit.program.pid), 'status.json'));
      await unit.editAndPatch('n * 2', 'n * 3');
      assert.equal(await unit.value(10), 32);
    }),
  );
});

describe('what a killed engine left with a process', () => {
  it(
    'is removed by the next one; patches that the process has, and files of engines that run, stay',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const directory = directoryOf(session, unit.program.pid);
      const namespace = ownNamespace();
      const dead = `${namespace}.${spawnSync('true').pid}`;
      /** Its pid in another namespace is nothing that could be looked for here. */
      const elsewhere = `1${dead}`;
      const put = (name: string, secondsAgo: number): string => {
        const path = join(directory, name);
        writeFileSync(path, 'left');
        const then = Date.now() / 1000 - secondsAgo;
        utimesSync(path, then, then);
        return path;
      };
      const left = [
        put(`requests/.00018d-${dead}-000001`, 0),
        put(`answers/00018d-${dead}-000001.json`, 0),
        put(`answers/00018d-${elsewhere}-000001.json`, 25 * 3600),
        put(`patches/lx0-${dead}-1-unit.cc.so`, 0),
        put(`patches/lx0-${dead}-2-unit.cc.so.part`, 0),
        put(`patches/handed-over-00018d-${dead}-000001.so`, 0),
      ];
      const kept = [
        put(`patches/lx0-${namespace}.${process.pid}-1-unit.cc.so`, 90),
        put(`answers/00018d-${elsewhere}-000002.json`, 90),
        ...readdirSync(join(directory, 'patches'))
          .filter((name) => !/^(lx0|handed)/.test(name))
          .map((name) => join(directory, 'patches', name)),
      ];
      assert.equal(kept.length, 3);
      await unit.editAndPatch('n * 3', 'n * 4');
      assert.deepEqual(
        left.map((path) => existsSync(path)),
        left.map(() => false),
      );
      assert.deepEqual(
        kept.map((path) => existsSync(path)),
        kept.map(() => true),
      );
      assert.equal(await unit.value(1), 4);
    }),
  );

  it(
    'is nothing that an engine brings into use, and ends, while another looks',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const { pid } = unit.program;
      const directory = directoryOf(session, pid);
      const patch = (count: number) =>
        join(directory, 'patches', `lx0-${ownNamespace()}.${spawnSync('true').pid}-${count}-unit.cc.so`);
      const [left, live] = [patch(1), patch(2)];
      writeFileSync(left, 'left');
      // Two engines look at once.
      const swept = Promise.all([createSweeper(), createSweeper()].map((sweep) => sweep(pid, directory)));
      // The look at what is there has been taken; the process is yet to be asked what it uses of it.
      writeFileSync(live, 'live');
      await swept;
      assert.deepEqual([left, live].map(existsSync), [false, true]);
    }),
  );

  it(
    'is put back when the process got hold of it while it was being taken away',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const { pid } = unit.program;
      const directory = directoryOf(session, pid);
      const name = `lx0-${ownNamespace()}.${spawnSync('true').pid}-1-unit.cc.so`;
      const [left, aside] = [name, `.${name}`].map((file) => join(directory, 'patches', file));
      writeFileSync(left!, 'left');
      const status = join(directory, 'status.json');
      let isOver = false;
      const swept = createSweeper()(pid, directory).finally(() => (isOver = true));
      // After it was taken away, the sweep asks the process once more, and waits for the answer: the next turn is ours.
      while (!existsSync(aside!) && !isOver) await setImmediate();
      assert.equal(isOver, false);
      writeFileSync(status, readFileSync(status, 'utf8').replace('[', `[{"file":"${left}"},`));
      await swept;
      assert.deepEqual([left!, aside!].map(existsSync), [true, false]);
    }),
  );

  it(
    'is no request that is carried out when a stopped process goes on',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const { pid } = unit.program;
      const directory = directoryOf(session, pid);
      process.kill(pid, 'SIGSTOP');
      const request = join(directory, 'requests', `00018d-${ownNamespace()}.${spawnSync('true').pid}-000001`);
      writeFileSync(request, 'hot_fix 1\ncommand revert\nall\nend\n');
      await session.hotPatch('ps');
      process.kill(pid, 'SIGCONT');
      await unit.editAndPatch('n * 3', 'n * 4');
      assert.equal(existsSync(request), false);
      await session.patch('unit.cc', 'unchanged');
    }),
  );
});
