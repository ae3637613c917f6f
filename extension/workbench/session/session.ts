// What every command is given: the state, the engine, and the few things that act. Made in extension.ts. Knows no view.
import type * as vscode from 'vscode';
import type { Documents } from '../documents/documents';
import type { EngineThread } from '../engine_thread/client';
import type { Store } from '../state/store';
import type { BringOver } from './bring_over';
import type { CompileDatabases } from './compile_database';
import type { Debuggers } from './debuggers';
import type { FileWatch } from './file_watch';
import type { HeldWatch } from './held_watch';
import type { Launches } from './launches';
import type { Operations } from './operations';
import type { ProcessWatch } from './process_watch';
import type { SaveWatch } from './save_watch';

export interface Session {
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  readonly store: Store;
  readonly engine: EngineThread;
  readonly operations: Operations;
  readonly documents: Documents;
  readonly saves: SaveWatch;
  readonly processes: ProcessWatch;
  readonly files: FileWatch;
  readonly databases: CompileDatabases;
  readonly launches: Launches;
  readonly held: HeldWatch;
  readonly bringOver: BringOver;
  readonly debuggers: Debuggers;
}
