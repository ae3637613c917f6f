// What every command and view is given: the state, the engine, and the few things that act. Made in extension.ts.
import type * as vscode from 'vscode';
import type { AsyncEngine } from '../engine_thread/client';
import type { Store } from '../state/store';
import type { Documents } from '../views/documents';
import type { Tree } from '../views/tree';
import type { CompileDatabases } from './compile_database';
import type { FileWatch } from './file_watch';
import type { Operations } from './operations';
import type { ProcessWatch } from './process_watch';
import type { SaveWatch } from './save_watch';

export interface Session {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly store: Store;
  readonly engine: AsyncEngine;
  readonly operations: Operations;
  readonly documents: Documents;
  readonly tree: Tree;
  readonly saves: SaveWatch;
  readonly processes: ProcessWatch;
  readonly files: FileWatch;
  readonly databases: CompileDatabases;
}
