// The tests of in_host/, which run inside VS Code, as tests of this run: one each, with its own result.
import Mocha from 'mocha';
import { Session } from '../support/session';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';
import { runInHost } from './host/run_in_host';

describe('in the extension host', function () {
  this.timeout(300_000);
  const session = new Session();
  const home = temporaryDirectory();
  after(async () => {
    await session.dispose();
    removeTemporaryDirectory(home);
  });

  it('VS Code starts, and runs the tests', async () => {
    session.copySample('driver');
    session.write('unit.c', 'long value(long n) {\n  return n * 2;\n}\n');
    session.write('other.c', 'long other(long n) {\n  return n * 2;\n}\n');
    await session.build({ sources: ['main.c', 'unit.c', 'other.c'], flags: ['-g', '-O0'] });
    const program = '${workspaceFolder}/program';
    const task = { label: 'run with hot patch', type: 'hotPatch', program };
    const after = {
      label: 'after patch',
      type: 'process',
      command: 'sh',
      args: ['-c', 'echo ran >> ran.txt'],
    };
    session.write('.vscode/tasks.json', JSON.stringify({ version: '2.0.0', tasks: [task, after] }));
    await session.start();
    const results = await runInHost({
      session,
      home,
      tests: 'in_host',
      env: { HOT_PATCH_TEST_FOLDER: session.directory },
    });
    if (results.length === 0) throw new Error('no test ran in the extension host');
    for (const { title, error, firstError } of results) {
      let first = firstError;
      const test = new Mocha.Test(title, () => {
        // What was tried twice inside counts as tried twice here as well.
        const failure = first ?? error;
        first = undefined;
        if (failure) throw new Error(failure);
      });
      inside.addTest(test);
    }
  });

  /** Its tests are known when the extension host has run them. */
  const inside = describe('results', () => undefined);
});
