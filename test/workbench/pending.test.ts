// Files that are not what runs because nobody saved them here: written by another program, put back, or whose patch was
// taken back. The tree lists them with what differs, and makes all of them live in one go.
import { strict as assert } from 'node:assert';
import type { Program } from '../support/program';
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

const UNIT = 'long factor(void);\nlong value(long n) {\n  return n * factor();\n}\n';
const BASE = 'static int base(void) {\n  return 2;\n}\n';
const FACTOR = '#include "base.h"\n\nlong factor(void) {\n  return base();\n}\n';

describe('files that were written outside of the editor', () => {
  let program: Program;
  const world = useWorkbench(async (session) => {
    session.copySample('family');
    session.write('unit.c', UNIT);
    session.write('base.h', BASE);
    session.write('factor.c', FACTOR);
    await session.build({ sources: ['main.c', 'unit.c', 'factor.c'], flags: ['-g', '-O0'] });
    program = await session.start();
  });
  const pending = () => world.workbench.page.locator('.sidebar .monaco-list-row', { hasText: /^Pending/ });

  it('are listed with the functions that differ, and marked', async () => {
    const { workbench, session } = world;
    await workbench.openFile('unit.c');
    await workbench.showView();
    await workbench.row('No patches yet');
    // The file is known to be what runs: what was written later can be compared with it.
    await workbench.statusTooltip('reproduces the running code');
    await workbench.unhover();
    assert.equal(await pending().count(), 0);
    session.write('unit.c', UNIT.replace('n * factor()', 'n + factor()'));
    session.write('factor.c', FACTOR.replace('base();', 'base() + 1;'));
    await workbench.row(/Pending.*2 files/s);
    await workbench.row(/unit\.c.*value/s);
    await workbench.row(/factor\.c.*factor/s);
    await workbench.marks('differs', 1);
    await workbench.screenshot('pending');
    assert.equal(await program.ask('10'), '20');
  });

  it('are live in one go by Hot Patch All Changed Files', async () => {
    const { workbench } = world;
    await workbench.command('Hot Patch: Hot Patch All Changed Files');
    await workbench.status(/live in \d+ ms/);
    assert.equal(await program.ask('10'), '13');
    await isGone(pending());
    await workbench.row(/value.*version 1 · verified/s);
    await workbench.row(/factor.*version 1 · verified/s);
    assert.equal(await workbench.offers('Hot Patch: Hot Patch All Changed Files'), false);
  });

  it('that do not compile say so, until they do', async () => {
    const { workbench, session } = world;
    session.write('factor.c', FACTOR.replace('base();', 'base() + ;'));
    await workbench.row(/factor\.c.*does not compile/s);
    session.write('factor.c', FACTOR.replace('base();', 'base() + 1;'));
    await isGone(pending());
    assert.equal(await program.ask('10'), '13');
  });

  it('may be one that can be patched from its row', async () => {
    const { workbench, session } = world;
    session.write('factor.c', FACTOR.replace('base();', 'base() + 5;'));
    const row = await workbench.row(/factor\.c.*factor/s);
    await workbench.clickAction(row, 'Hot Patch File');
    await isGone(pending());
    assert.equal(await program.ask('10'), '17');
  });

  it('are listed again when their patches are taken back, and compared with the original', async () => {
    const { workbench } = world;
    await workbench.command('Hot Patch: Revert All');
    await workbench.status(/original in \d+ ms/);
    assert.equal(await program.ask('10'), '20');
    await workbench.row(/Pending.*2 files/s);
    await workbench.row(/unit\.c.*value/s);
    await workbench.marks('differs', 1);
    await workbench.openFile('unit.c');
    await workbench.select('value');
    await workbench.command('Hot Patch: Compare with Running Version');
    await shows(workbench.page.locator('.tab', { hasText: /value, original in program/ }));
    await workbench.screenshot('compared-with-the-original');
  });

  it('are not listed once the program is one that was built from them', async () => {
    const { workbench, session } = world;
    process.kill(program.pid, 'SIGKILL');
    await isGone(pending());
    await session.build({ sources: ['main.c', 'unit.c', 'factor.c'], flags: ['-g', '-O0'] });
    program = await session.start();
    await workbench.row('No patches yet');
    session.write('base.h', BASE.replace('2', '20'));
    await workbench.row(/Pending.*1 file$/s);
    await workbench.row(/base\.h.*base/s);
    session.write('base.h', BASE);
    await isGone(pending());
  });
});
