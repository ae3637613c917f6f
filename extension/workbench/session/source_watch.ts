// Source files that are written by whatever program, as far as VS Code's watcher tells of them.
import * as vscode from 'vscode';

export function watchSources(listener: () => void): vscode.Disposable {
  const watcher = vscode.workspace.createFileSystemWatcher(
    '**/*.{c,cc,cp,cpp,cxx,c++,C,h,hh,hp,hpp,hxx,h++,H,inl,ipp,tcc}',
  );
  return vscode.Disposable.from(
    watcher,
    watcher.onDidChange(listener),
    watcher.onDidCreate(listener),
    watcher.onDidDelete(listener),
  );
}
