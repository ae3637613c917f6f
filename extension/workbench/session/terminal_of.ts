// The terminal of the window whose process this is: of a task its program, else the shell. A window that was reloaded gets
// its terminals back seconds after it is there, one by one.
import * as vscode from 'vscode';

/** @param patience milliseconds for which a terminal is waited for that the window does not have yet */
export async function terminalOf(pid: number, patience = 0): Promise<vscode.Terminal | undefined> {
  let opened: vscode.Disposable | undefined;
  let timer: NodeJS.Timeout | undefined;
  const found = new Promise<vscode.Terminal>((resolve) => {
    // A terminal that is still being made has no process, and may never have one.
    const look = (terminal: vscode.Terminal) =>
      void terminal.processId.then((its) => {
        if (its === pid && terminal.exitStatus === undefined) resolve(terminal);
      });
    opened = vscode.window.onDidOpenTerminal(look);
    vscode.window.terminals.forEach(look);
  });
  const given = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), patience)));
  try {
    return await Promise.race([found, given]);
  } finally {
    clearTimeout(timer);
    opened?.dispose();
  }
}
