// Programs of other users, as one who is root, who is that user, or who is neither: among them what `sudo -u USER` starts
// in a terminal, in a pseudo-terminal of its own and behind a process that watches over it (sudoers(5), use_pty).
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GATE_VARIABLE, gateValue, putGate } from '../../extension/workbench/session/terminal_gate';
import type { PatchableProcess, PatchResult } from '../../extension/engine/model/result';
import { dist } from '../support/paths';
import type { Program } from '../support/program';
import { useSession } from '../support/session';
import { as, DAEMON, NOBODY, SharedWorkspace } from '../support/shared_workspace';
import { processesOf } from '../workbench/host/processes_of';

const ROOT = 0;
let shared: SharedWorkspace | undefined;
const work = () => shared!;

const use = useSession(async (session) => {
  if (process.getuid!() !== ROOT) return;
  session.copySample('family');
  session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
  shared = await SharedWorkspace.make(session, ['main.c', 'unit.c'], NOBODY);
});

before(function () {
  if (shared === undefined) this.skip();
});
after(() => shared?.remove());

beforeEach(() => work().edit('unit.c', /n \* \d/, 'n * 2'));

const edit = (factor: number) => work().edit('unit.c', /n \* \d/, `n * ${factor}`);

async function succeeds(user: number, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await work().hotPatch(user, ...args);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

describe("another user's program", () => {
  it('is attached to by root once; its user patches it then, and needs no right to trace', async () => {
    const command = [...as(NOBODY), work().path('program')];
    const program = await use.session.startCommand(command[0]!, command.slice(1), work().environment);
    await program.line('ready');
    await succeeds(ROOT, 'attach', String(program.pid));
    edit(3);
    await succeeds(NOBODY, 'patch', 'unit.c', '--pid', String(program.pid));
    assert.equal(await program.ask('7'), '21');
    await program.stop();
  });
});

describe('a program that sudo runs as another user, from a terminal of the workspace', () => {
  let terminal: Program;
  let pid = 0;
  let gate: NodeJS.ProcessEnv;

  before(async () => {
    const lib = join(dist, 'native', 'lib');
    const { library, runtime } = await putGate(use.session.path('storage'), lib, lib);
    gate = {
      LD_PRELOAD: `${library}:`,
      [GATE_VARIABLE]: await gateValue(runtime, [work().directory]),
    };
  });
  beforeEach(async () => {
    const line = `stty -echo; cd ${work().directory}; sudo -u '#${NOBODY}' ./program`;
    terminal = await use.session.startCommand('script', ['-qec', line, '/dev/null'], {
      ...work().environment,
      ...gate,
    });
    await terminal.line('ready');
    [pid = 0] = processesOf(work().path('program'));
  });
  afterEach(async () => {
    process.kill(pid, 'SIGKILL');
    await terminal.exit();
  });

  /** As `ps --all --json` has it. */
  const listed = async (user: number) => {
    const all = JSON.parse(await succeeds(user, 'ps', '--all', '--json')) as (PatchableProcess & {
      attachable?: boolean;
    })[];
    return all.filter(({ name, commandLine }) => name === 'program' || commandLine.includes('./program'));
  };

  it('has nothing of the terminal in it, and is what root and its user can attach to', async () => {
    assert.match(readFileSync(`/proc/${terminal.pid}/maps`, 'utf8'), /libhot_fix_gate\.so/);
    assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /LD_PRELOAD|HOT_FIX/);
    assert.doesNotMatch(readFileSync(`/proc/${pid}/maps`, 'utf8'), /hot_fix/);
    for (const user of [ROOT, NOBODY]) {
      const found = await listed(user);
      const own = found.find((entry) => entry.pid === pid);
      assert.deepEqual([own?.state, own?.attachable, own?.problem], ['no-runtime', true, undefined]);
      // Those that carry its name in their command line.
      assert.ok(found.length > 1, JSON.stringify(found));
    }
    const seen = (await listed(DAEMON)).find((entry) => entry.pid === pid);
    assert.deepEqual([seen?.state, seen?.attachable], ['other-user', undefined]);
  });

  it('is patched by its user, who names it by its file, and by a save', async () => {
    assert.match(
      await succeeds(NOBODY, 'attach', './program'),
      new RegExp(`^attached: process ${pid} .*\n$`),
    );
    for (const factor of [3, 4]) {
      edit(factor);
      const { processes } = JSON.parse(await succeeds(NOBODY, 'patch', 'unit.c', '--json')) as PatchResult;
      assert.deepEqual(
        processes.map((patched) => patched.pid),
        [pid],
      );
      assert.equal(await terminal.ask('7'), String(7 * factor));
    }
    await succeeds(NOBODY, 'detach', 'program');
    assert.equal(await terminal.ask('7'), '14');
  });

  for (const [how, ...target] of [
    ['by its source'],
    ['by its number', '--pid'],
    ['by its file', './program'],
  ] as const)
    it(`is refused to others who mean it ${how}, with the command that root then succeeds with`, async () => {
      edit(5);
      const number = target[0] === '--pid' ? ['--pid', String(pid)] : [];
      const refused =
        how === 'by its file'
          ? await work().hotPatch(DAEMON, 'attach', './program')
          : await work().hotPatch(DAEMON, 'patch', 'unit.c', '--attach', ...number);
      assert.equal(refused.status, 3, refused.stdout + refused.stderr);
      assert.match(
        refused.stderr,
        new RegExp(`process ${pid}\\b.* belongs to another user \\[other-user\\]`, 'i'),
      );
      assert.match(refused.stderr, /`sudo hot-patch patch FILE --attach`/);
      assert.equal(await terminal.ask('7'), '14');
      const patch = ['patch', 'unit.c', '--attach', ...number];
      const sudo = ['sudo', process.execPath, work().cli, ...patch];
      // Root does not run the commands of whoever has the database, unless it is told to.
      const distrusted = await work().run(sudo);
      assert.equal(distrusted.status, 2);
      assert.match(distrusted.stderr, /\[untrusted-compile-database\]\n.* -p /);
      const { status, stdout, stderr } = await work().run([...sudo, '-p', '.']);
      assert.equal(status, 0, stdout + stderr);
      assert.equal(await terminal.ask('7'), '35');
    });
});
