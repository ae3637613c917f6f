// Commands of the welcome views: hotPatch.chooseBuildDirectory and hotPatch.copyCMakeLines.
import { join } from 'node:path';
import * as vscode from 'vscode';
import { Setting } from '../contributions';
import type { Session } from '../session/session';

/** @param sources of the runtime, which are its CMake package too */
function cmakeLines(sources: string): string {
  return `# The package is installed once, from ${sources}: cmake -S … -B …, cmake --build …, cmake --install ….
# Or, in place of find_package: add_subdirectory("${sources}" hot_fix)
find_package(hot_fix REQUIRED)
target_link_libraries(your_program PRIVATE hot_fix::hot_fix)
# and in main(): #include <hot_fix.h>, init_hot_fix_signal();
`;
}

/** @param named absolute, by a Quick Fix; else the user is asked */
export async function chooseBuildDirectory(_session: Session, named?: string): Promise<void> {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  const directory = named ?? (await askForDirectory(folder));
  if (directory === undefined) return;
  const target = folder ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await vscode.workspace.getConfiguration().update(Setting.buildDirectory, directory, target);
}

async function askForDirectory(folder: vscode.WorkspaceFolder | undefined): Promise<string | undefined> {
  const [chosen] =
    (await vscode.window.showOpenDialog({
      title: 'Build directory with compile_commands.json',
      openLabel: 'Select',
      canSelectFiles: false,
      canSelectFolders: true,
      defaultUri: folder?.uri,
    })) ?? [];
  return chosen?.fsPath;
}

export async function copyCMakeLines({ context }: Session): Promise<void> {
  await vscode.env.clipboard.writeText(cmakeLines(join(context.extensionPath, 'native')));
  void vscode.window.showInformationMessage('Hot Patch: the CMake lines are on the clipboard.');
}
