// Where compile_commands.json is: setting hotPatch.buildDirectory, then the build folder of CMake Tools where that
// extension is, then the workspace folders. The engine looks upwards from each file by itself; this tells it the
// directories that it cannot know, and the welcome view whether there is any.
import { dirname, isAbsolute, join } from 'node:path';
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import { setting } from '../settings';

const NAME = 'compile_commands.json';
const QUIET_MS = 300;

export interface CompileDatabases extends vscode.Disposable {
  /** Directories to pass to the engine. */
  readonly directories: readonly string[];
  /** Directories of all databases that were found, the engine's own lookup included. */
  find(): Promise<string[]>;
  /** The setting, CMake Tools' folder or a database changed; fires once for a burst of writes. */
  readonly onDidChange: vscode.Event<void>;
}

export function watchCompileDatabases(): CompileDatabases {
  const changed = new vscode.EventEmitter<void>();
  let timer: NodeJS.Timeout | undefined;
  // A configure run writes the file several times, and leaves it empty in between.
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => changed.fire(), QUIET_MS);
  };
  const watcher = vscode.workspace.createFileSystemWatcher(`**/${NAME}`);
  const subscriptions = [
    changed,
    watcher,
    watcher.onDidCreate(soon),
    watcher.onDidChange(soon),
    watcher.onDidDelete(soon),
    vscode.workspace.onDidChangeWorkspaceFolders(soon),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(Setting.buildDirectory) || event.affectsConfiguration('cmake')) soon();
    }),
  ];
  return {
    onDidChange: changed.event,
    get directories() {
      return configuredDirectories();
    },
    async find() {
      const configured = await Promise.all(
        configuredDirectories().map(async (directory) => ((await hasDatabase(directory)) ? [directory] : [])),
      );
      const found = await vscode.workspace.findFiles(`**/${NAME}`, '**/node_modules/**', 50);
      return [...new Set([...configured.flat(), ...found.map((uri) => dirname(uri.fsPath))])];
    },
    dispose() {
      clearTimeout(timer);
      vscode.Disposable.from(...subscriptions).dispose();
    },
  };
}

function configuredDirectories(): string[] {
  const folders = vscode.workspace.workspaceFolders ?? [];
  return folders.flatMap((folder) => {
    const own = setting(Setting.buildDirectory, folder);
    const ofCMake = vscode.extensions.getExtension('ms-vscode.cmake-tools')
      ? vscode.workspace.getConfiguration('cmake', folder).get<string>('buildDirectory', '')
      : '';
    return [own, ofCMake].filter((path) => path !== '').map((path) => resolved(path, folder));
  });
}

function resolved(path: string, folder: vscode.WorkspaceFolder): string {
  const plain = path
    .replaceAll('${workspaceFolder}', folder.uri.fsPath)
    .replaceAll('${workspaceRoot}', folder.uri.fsPath)
    .replaceAll('${sourceDirectory}', folder.uri.fsPath);
  return isAbsolute(plain) ? plain : join(folder.uri.fsPath, plain);
}

async function hasDatabase(directory: string): Promise<boolean> {
  try {
    return (await stat(join(directory, NAME))).size > 0;
  } catch {
    return false;
  }
}
