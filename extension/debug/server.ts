// The debug adapter as a program of its own, on standard input and output: for tests, and for editors that speak DAP
// and are not VS Code. `node dist/debug_adapter.js`.
import { createEngine } from '../engine/create_engine';
import { HotPatchDebugSession } from './adapter';
import { directAccess } from './patch_access';

const engine = createEngine();
const session = new HotPatchDebugSession(directAccess(engine));
session.setRunAsServer(true);
process.stdin.on('close', () => {
  session.dispose();
  void engine.dispose();
});
process.on('SIGTERM', () => process.stdin.destroy());
void session.start(process.stdin, process.stdout);
