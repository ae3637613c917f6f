// What a configuration of another extension's debugger becomes, so that the program it starts has the runtime.
import { strict as assert } from 'node:assert';
import { withEnvironment } from '../../extension/debug/launch_environment';

const variables = { LD_PRELOAD: '/gate.so:', HOT_FIX_GATE: '/runtime.so:/folder' };
const launch = (type: string, more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ type, request: 'launch', program: '/folder/program' },
  ...more,
});

describe('the environment of a program that another debugger starts', () => {
  it('is written as each debug type wants it, behind what the configuration has', () => {
    const pairs = [
      { name: 'LD_PRELOAD', value: '/gate.so:' },
      { name: 'HOT_FIX_GATE', value: '/runtime.so:/folder' },
    ];
    const lines = ['LD_PRELOAD=/gate.so:', 'HOT_FIX_GATE=/runtime.so:/folder'];
    const environmentOf = (configuration: ReturnType<typeof launch>): unknown => {
      const { env, environment } = withEnvironment(configuration, variables) as Record<string, unknown>;
      return env ?? environment;
    };
    const own = { name: 'A', value: 'b' };
    assert.deepEqual(environmentOf(launch('cppdbg')), pairs);
    assert.deepEqual(environmentOf(launch('cppdbg', { environment: [own] })), [own, ...pairs]);
    assert.deepEqual(environmentOf(launch('lldb-dap')), lines);
    assert.deepEqual(environmentOf(launch('lldb-dap', { env: ['A=b'] })), ['A=b', ...lines]);
    assert.deepEqual(environmentOf(launch('lldb-dap', { env: { A: 'b' } })), { A: 'b', ...variables });
    for (const type of ['lldb', 'gdb']) assert.deepEqual(environmentOf(launch(type)), variables);
    assert.deepEqual(environmentOf(launch('lldb', { env: { A: 'b' } })), { A: 'b', ...variables });
  });

  it('is left alone where the program is elsewhere, is there already, or has its own word on it', () => {
    const untouched = [
      launch('cppdbg', { request: 'attach' }),
      launch('cppdbg', { pipeTransport: { pipeProgram: 'ssh' } }),
      launch('cppdbg', { miDebuggerServerAddress: 'board:3333' }),
      launch('lldb-dap', { launchCommands: ['process launch'] }),
      launch('lldb', { initCommands: ['platform select remote-linux'] }),
      launch('cppdbg', { environment: [{ name: 'LD_PRELOAD', value: '/other.so' }] }),
      launch('lldb-dap', { env: ['LD_PRELOAD=/other.so'] }),
      launch('lldb', { env: { HOT_FIX_GATE: '' } }),
    ];
    for (const configuration of untouched)
      assert.equal(withEnvironment(configuration, variables), configuration);
    const nothing = launch('cppdbg');
    assert.equal(withEnvironment(nothing, {}), nothing);
  });
});
