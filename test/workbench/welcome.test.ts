// What a new user sees before the first patch: each welcome view by its real cause, and gone once that is solved.
import { useWorkbench } from './host/use_workbench';
import { isGone, shows } from './host/workbench';

describe('the Hot Patch view, before there is anything to show', () => {
  const world = useWorkbench(async (session) => {
    session.write('main.c', 'int main(void) { return 0; }\n');
    await Promise.resolve();
  });

  it('says that there is no compile database, until there is one', async () => {
    const { workbench, session } = world;
    await workbench.openFile('main.c');
    await workbench.showView();
    await shows(workbench.welcome('No compile_commands.json was found'));
    await workbench.screenshot('welcome-database');
    session.writeDatabase([
      { directory: session.directory, file: 'main.c', arguments: ['gcc', '-c', 'main.c'] },
    ]);
    await isGone(workbench.welcome('No compile_commands.json was found'));
    await shows(workbench.welcome('No process with the hot_fix runtime is running'));
    await workbench.status('no process');
  });
});
