// What a new user sees before the first patch: each welcome view by its real cause, and gone once that is solved.
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/browser';

const MAIN = `#include <stdio.h>
#include <unistd.h>
int main(void) {
  printf("pid %d\\n", getpid());
  fflush(stdout);
  for (;;) pause();
}
`;

describe('the Hot Patch view, before there is anything to show', () => {
  const world = useWorkbench(async (session) => {
    session.write('main.c', MAIN);
    await session.build({ sources: ['main.c'], flags: ['-g', '-O1'] });
    await session.run('rm', ['compile_commands.json']);
  });

  it('says that there is no compile database, until there is one', async () => {
    const { workbench, session } = world;
    await workbench.openFile('main.c');
    await workbench.showView();
    await shows(workbench.welcome('No compile_commands.json was found'));
    await workbench.status('no compile_commands.json');
    await workbench.screenshot('welcome-database');
    const command = ['gcc', '-g', '-O1', '-c', 'main.c'];
    session.writeDatabase([{ directory: session.directory, file: 'main.c', arguments: command }]);
    await isGone(workbench.welcome('No compile_commands.json was found'));
    await shows(workbench.welcome('No process of this workspace is running'));
    await workbench.status('no process');
    await workbench.screenshot('welcome-process');
  });

  it('is replaced by a process that could be attached to, until it ends', async () => {
    const { workbench, session } = world;
    const program = await session.startPlain();
    await workbench.row(`not attached · pid ${program.pid}`);
    await workbench.status(`program (${program.pid}) · not attached`);
    await program.stop();
    await shows(workbench.welcome('No process of this workspace is running'));
    await workbench.status('no process');
  });

  it('is replaced by the process once one with the runtime runs, and comes back when that ends', async () => {
    const { workbench, session } = world;
    const program = await session.start();
    await workbench.row(`program`);
    await workbench.status(`program (${program.pid})`);
    await shows(workbench.lens('⚡ Hot Patch'));
    await program.stop();
    await shows(workbench.welcome('No process of this workspace is running'));
    await isGone(workbench.lens('⚡ Hot Patch'));
  });

  it('comes with lenses also in a file that was left at once', async () => {
    const { workbench, session } = world;
    await workbench.command('View: Close All Editors');
    const program = await session.start();
    await workbench.status(`program (${program.pid})`);
    await workbench.openFileAndLeave('main.c');
    await shows(workbench.lens('⚡ Hot Patch'));
  });
});

describe('the Hot Patch view in a folder that is not trusted', () => {
  const world = useWorkbench(
    (session) => {
      session.write('main.c', MAIN);
      session.writeDatabase([]);
      return Promise.resolve();
    },
    { askForTrust: true },
  );

  it('says so, runs nothing, and begins once the folder is trusted', async () => {
    const { workbench } = world;
    await workbench.openFile('main.c');
    await workbench.showView();
    await shows(workbench.welcome('in trusted workspaces only'));
    await workbench.status('restricted');
    await workbench.screenshot('welcome-untrusted');
    await workbench.page.locator('.welcome-view-content a', { hasText: 'Manage Workspace Trust' }).click();
    await workbench.page.locator('.workspace-trust-editor a.monaco-button', { hasText: /^Trust$/ }).click();
    await isGone(workbench.welcome('in trusted workspaces only'));
    await workbench.status('no process');
  });
});
