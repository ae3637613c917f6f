// A debug session that follows a process while others come and go: a look at the system that fails is not its end.
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { HotPatchDebugSession } from '../../extension/debug/adapter';
import type { PatchAccess } from '../../extension/debug/patch_access';
import type { PatchableProcess } from '../../extension/engine/model/result';

describe('a debug session', () => {
  it('goes on when a look at the processes fails, as it may while one of them ends', async () => {
    const runtime = { version: '0', protocol: 1, signal: 64, workerTid: 1, controlDirectory: '/run' };
    const ours = { pid: process.pid, exe: '/program', name: 'program', runtime } as PatchableProcess;
    let looks = 0;
    const seen = new PassThrough();
    const access: Partial<PatchAccess> = {
      processes: () => {
        looks++;
        // The first is the request's own, the second the first look of the session.
        return looks === 2
          ? Promise.reject(new Error('ENOENT: the directory has just been removed'))
          : Promise.resolve([ours]);
      },
      status: () => {
        seen.write('.');
        return Promise.resolve({ pid: process.pid, exe: '', sequence: 1, patches: [], functions: [] });
      },
      onResult: () => () => undefined,
    };
    const session = new HotPatchDebugSession(access as PatchAccess);
    const input = new PassThrough();
    session.start(input, new PassThrough());
    const request = {
      ...{ seq: 1, type: 'request', command: 'attach' },
      arguments: { processId: process.pid },
    };
    const text = JSON.stringify(request);
    input.write(`Content-Length: ${text.length}\r\n\r\n${text}`);
    await once(seen, 'readable');
    assert.ok(looks >= 3);
    session.dispose();
  });
});
