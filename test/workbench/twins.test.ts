// What tells processes of one program apart, looked up of real ones.
import { strict as assert } from 'node:assert';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { listeningPorts } from '../../extension/engine/process/listening_ports';
import type { PatchableProcess } from '../../extension/engine/model/result';
import type { Launch } from '../../extension/workbench/session/launches';
import { watchTwins } from '../../extension/workbench/session/twins';
import { processKey } from '../../extension/workbench/state/state';
import { Store } from '../../extension/workbench/state/store';
import { distinctionOf } from '../../extension/workbench/views/process_text';
import { until } from '../support/until';
import { process as processOf } from './fixtures';

const ENGINE = { listeningPorts };

/** Listens on a port of the system's choice, and says which. */
const LISTENER = `
  const server = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

describe('two processes with the same arguments', () => {
  const children: ChildProcess[] = [];
  after(() => children.forEach((child) => child.kill('SIGKILL')));
  const start = async (script: string): Promise<{ process: PatchableProcess; said: string }> => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const [said] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    return { process: processOf(child.pid), said };
  };

  it('are told apart by the ports that they listen on', async () => {
    const [one, two] = [await start(LISTENER), await start(LISTENER)];
    const store = new Store();
    const watch = watchTwins(store, { of: () => undefined }, () => ENGINE);
    store.dispatch({ type: 'processes', processes: [one.process, two.process] });
    const seen = () => [one, two].map(({ process: each }) => distinctionOf(store.state, each));
    const wanted = [`port ${one.said}`, `port ${two.said}`];
    assert.deepEqual(await until(seen, (found) => found.every(Boolean)), wanted);
    store.dispatch({ type: 'processes', processes: [one.process] });
    await until(
      () => store.state.twins.size,
      (size) => size === 0,
    );
    watch.dispose();
  });

  it('are told apart by the names of their launches where they listen on none', async () => {
    const idle = 'console.log("ready"); setInterval(() => {}, 1e6)';
    const [one, two] = [await start(idle), await start(idle)];
    const store = new Store();
    const names = new Map([
      [processKey(one.process), 'east'],
      [processKey(two.process), 'west'],
    ]);
    const of = (key: string) => ({ debugSession: { name: names.get(key) } }) as Launch;
    const watch = watchTwins(store, { of }, () => ENGINE);
    store.dispatch({ type: 'processes', processes: [one.process, two.process] });
    const seen = () => [one, two].map(({ process: each }) => distinctionOf(store.state, each));
    assert.deepEqual(await until(seen, (found) => found.every(Boolean)), ['east', 'west']);
    watch.dispose();
  });
});
