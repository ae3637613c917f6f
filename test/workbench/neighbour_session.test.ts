// A save that waits at a stop of lldb, when the user continues in the moment in which it is to be carried out there. The
// debugger is the test's own, which loses that race each time; other_debugger.test.ts has the real one, which wins it.
import { strict as assert } from 'node:assert';
import type * as vscode from 'vscode';
import { NeighbourSession } from '../../extension/workbench/debugging/neighbour_session';
import type { Session } from '../../extension/workbench/session/session';
import { Store } from '../../extension/workbench/state/store';
import { file, process, running } from './fixtures';

const WORKER = process().runtime!.workerTid;
const THREADS = `* thread #1: tid = 4242, 0x1 service\n  thread #2: tid = ${WORKER}, 0x2 service`;

const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
};

describe('a save that waits for lldb', () => {
  let store: Store;
  let said: string[];
  let log: string[];
  /** What the user does when the debugger is given a command. */
  let meanwhile: (command: string) => void;
  let isStopped: boolean;
  let neighbour: NeighbourSession;

  const stop = async () => {
    isStopped = true;
    const body = { reason: 'breakpoint', threadId: 4242 };
    neighbour.onDidSendMessage({ type: 'event', event: 'stopped', body });
    await turns();
  };
  const goOn = () => {
    isStopped = false;
    neighbour.onWillReceiveMessage({ command: 'continue' });
  };
  const served = () => said.filter((command) => command.includes('hot_fix_serve'));

  beforeEach(async () => {
    [said, log, meanwhile, isStopped] = [[], [], () => undefined, false];
    store = new Store();
    for (const event of running) store.dispatch(event);
    const evaluate = ({ expression }: { expression: string }) => {
      meanwhile(expression);
      said.push(expression);
      if (!isStopped) throw new Error('the process is running');
      return { result: expression.includes('thread list') ? THREADS : 'applied' };
    };
    const debugSession = {
      type: 'lldb',
      configuration: { request: 'attach', pid: 4242 },
      customRequest: (request: string, parameters: { expression: string }) =>
        new Promise((resolve) => resolve(request === 'evaluate' ? evaluate(parameters) : {})),
    } as unknown as vscode.DebugSession;
    const session = {
      store,
      debuggers: new Set(),
      engine: { processes: () => Promise.resolve([process()]) },
      log: { info: (message: string) => log.push(message) },
    } as unknown as Session;
    neighbour = new NeighbourSession(session, debugSession);
    store.dispatch({ type: 'operation-started', id: 1, action: 'save', files: [file] });
    store.dispatch({ type: 'operation-step', id: 1, step: 'wait-for-debugger', pid: 4242 });
    await turns();
  });
  afterEach(() => neighbour.onExit());

  it('is carried out at the stop, once, in the thread of the runtime', async () => {
    await stop();
    assert.equal(served().length, 1);
    const order = said.filter((command) => /^thread select|hot_fix_serve/.test(command));
    assert.deepEqual(
      order.map((command) => /thread select \d/.exec(command)?.[0] ?? 'serve'),
      ['thread select 2', 'serve', 'thread select 1'],
    );
  });

  for (const [when, command] of [
    ["before it is known which thread is the runtime's", 'thread list'],
    ['before the runtime is called', 'thread select 2'],
    ['as the runtime is called', 'hot_fix_serve'],
  ] as const)
    it(`waits for the next stop when the user continues ${when}, which is logged`, async () => {
      meanwhile = (given) => {
        if (given.includes(command)) goOn();
      };
      await stop();
      assert.ok(
        log.some((line) => /did not have the save carried out at this stop.*is running/.test(line)),
        log.join('\n'),
      );
      assert.equal(log.filter((line) => line.startsWith('hot_fix_serve:')).length, 0);
      // Nothing is tried while the process runs, whatever the state tells.
      const before = said.length;
      store.dispatch({ type: 'active-file', file });
      await turns();
      assert.equal(said.length, before);
      assert.equal(store.state.operation?.step, 'wait-for-debugger');
      meanwhile = () => undefined;
      await stop();
      assert.deepEqual(log.filter((line) => line.startsWith('hot_fix_serve:')).length, 1);
    });
});
