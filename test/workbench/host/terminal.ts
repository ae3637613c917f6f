// The terminal as a test uses it: what new ones have in their environment, and the output of command lines, by a file, since
// the screen wraps and scrolls.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { until } from '../../support/until';
import type { World } from './use_workbench';

/** Settings for a shell that is the same on every machine. */
export const PLAIN_SHELL = {
  'terminal.integrated.profiles.linux': {
    plain: { path: 'bash', args: ['--norc'], env: { PS1: '$ ', HISTFILE: '/dev/null' } },
  },
  'terminal.integrated.defaultProfile.linux': 'plain',
};

/** Runs a command line in the active terminal; what it printed. */
export async function outputOf({ workbench, session }: World, line: string): Promise<string> {
  const printed = session.path('printed');
  await workbench.runInTerminal(`{ ${line}; } > ${printed}.part; mv ${printed}.part ${printed}`);
  const text = await until(() => (existsSync(printed) ? session.read('printed') : ''), Boolean);
  await session.run('rm', [printed]);
  return text;
}

/** Opens terminals until one has the wanted environment: what an extension adds comes some time after its start, or after
 * a change of a setting.
 * @returns its variables, one a line */
export async function openTerminal(
  world: World,
  isWanted: (variables: string) => boolean = () => true,
): Promise<string> {
  for (;;) {
    const before = shellsOf(world);
    await world.workbench.command('Terminal: Create New Terminal');
    const [variables] = await until(
      () => [...shellsOf(world)].filter(([pid]) => !before.has(pid)).map(([, text]) => text),
      ({ length }) => length > 0,
    );
    if (isWanted(variables!)) return variables!;
    await world.workbench.command('Terminal: Kill the Active Terminal Instance');
  }
}

/** The environment of the shell of each terminal, by its process. */
function shellsOf({ session }: World): Map<string, string> {
  const variablesOf = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'bash\n'
        ? readFileSync(`/proc/${pid}/environ`, 'utf8').replaceAll('\0', '\n')
        : '';
    } catch {
      return ''; // it has ended
    }
  };
  const shells = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(
    shells
      .map((pid) => [pid, variablesOf(pid)] as const)
      .filter(
        ([, text]) =>
          text.includes(`XDG_RUNTIME_DIR=${session.path('run')}\n`) && /^TERM_PROGRAM=vscode$/m.test(text),
      ),
  );
}
