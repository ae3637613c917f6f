// The client of the runtime, against a small process that plays the runtime: every way an answer can come, be late
// or fail to come.
import { strict as assert } from 'node:assert';
import { Caches } from '../../extension/engine/caches';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RuntimeClient } from '../../extension/engine/context';
import { HotPatchError } from '../../extension/engine/model/errors';
import type { PatchableProcess } from '../../extension/engine/model/result';
import { createRuntimeClient, requestText } from '../../extension/engine/process/runtime_client';
import { createDemangler } from '../../extension/engine/process/demangle';
import { readStat } from '../../extension/engine/process/process_list';
import { parseRunState } from '../../extension/engine/process/run_state';
import { parseAnswer, parseStatus } from '../../extension/engine/process/status';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const code = (wanted: string) => (error: unknown) => error instanceof HotPatchError && error.code === wanted;

/** Answers each request as its first argument says; prints the requests. Node.js handles SIGUSR2 in its main thread,
 * whose thread id is the pid. */
const player = `
const fs = require('fs'), [behaviour, directory] = process.argv.slice(1);
const status = { protocol: 1, pid: process.pid, sequence: 1, patches: [], functions: [] };
const answer = (id, change) => {
  const whole = { id, ok: true, error: null, timings: { read: 100, load: 200, relocate: 300, write: 400, total: 1000 }, status, ...change };
  fs.writeFileSync(directory + '/answers/.tmp', JSON.stringify(whole));
  fs.renameSync(directory + '/answers/.tmp', directory + '/answers/' + id + '.json');
};
if (behaviour !== 'deaf') process.on('SIGUSR2', () => {
  for (const id of fs.readdirSync(directory + '/requests').filter((name) => !name.startsWith('.'))) {
    const path = directory + '/requests/' + id;
    console.log(JSON.stringify(fs.readFileSync(path, 'utf8')));
    if (behaviour === 'silent') continue;
    if (behaviour === 'end') process.exit(0);
    fs.unlinkSync(path);
    if (behaviour === 'slow') setTimeout(() => answer(id), 400);
    else if (behaviour === 'fail') answer(id, { ok: false, error: { code: 'mprotect-failed', message: 'no', symbol: 'f', errno: 13 } });
    else answer(id);
  }
});
setInterval(() => {}, 1000);
console.log('ready');
`;

interface Stage {
  client: RuntimeClient;
  child: ChildProcess;
  directory: string;
  target: PatchableProcess;
  /** The next line the player prints. */
  line: () => Promise<string>;
}

function withPlayer(behaviour: string, test: (stage: Stage) => Promise<void>) {
  return async () => {
    const directory = temporaryDirectory();
    for (const name of ['requests', 'answers']) mkdirSync(join(directory, name));
    const child = spawn(process.execPath, ['-e', player, behaviour, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const line = async () => (await lines.next()).value as string;
      assert.equal(await line(), 'ready');
      const pid = child.pid!;
      const target: PatchableProcess = {
        pid,
        startTime: readStat(pid)!.startTime,
        parentPid: process.pid,
        exe: process.execPath,
        name: 'node',
        commandLine: [],
        cwd: directory,
        state: 'ready',
        runtime: { version: '1', protocol: 1, signal: 12, workerTid: pid, controlDirectory: directory },
      };
      const log = () => undefined;
      const client = createRuntimeClient(target, { demangle: createDemangler(new Caches(), log), log });
      await test({ client, child, directory, target, line });
    } finally {
      child.kill('SIGKILL');
      removeTemporaryDirectory(directory);
    }
  };
}

const left = (directory: string) => [
  ...readdirSync(join(directory, 'requests')),
  ...readdirSync(join(directory, 'answers')),
];

describe('a request to the runtime', () => {
  it(
    'is written whole, answered, and leaves nothing behind',
    withPlayer('answer', async ({ client, directory, line }) => {
      const answer = await client.patch(['/a b.so', '/c.so'], [0x1234]);
      assert.equal(
        JSON.parse(await line()),
        'hot_fix 1\ncommand patch\nfile /a b.so\nfile /c.so\nrevert 0x1234\nend\n',
      );
      assert.equal(answer.ok, true);
      assert.deepEqual(answer.timings, { read: 0.1, load: 0.2, relocate: 0.3, write: 0.4, total: 1 });
      assert.equal(answer.status.exe, process.execPath);
      assert.deepEqual(left(directory), []);
    }),
  );

  it(
    'says what is to be reverted',
    withPlayer('answer', async ({ client, line }) => {
      await client.revert('all');
      assert.equal(JSON.parse(await line()), 'hot_fix 1\ncommand revert\nall\nend\n');
      await client.revert([{ address: 255, version: 2 }]);
      assert.equal(JSON.parse(await line()), 'hot_fix 1\ncommand revert\nfunction 0xff 2\nend\n');
    }),
  );

  it(
    'that the runtime could not fulfil is an answer, not an exception',
    withPlayer('fail', async ({ client }) => {
      const answer = await client.status();
      assert.deepEqual(
        [answer.ok, answer.error],
        [false, { code: 'mprotect-failed', message: 'no', symbol: 'f', errno: 13 }],
      );
    }),
  );

  it(
    'fails when the process ends instead of answering',
    withPlayer('end', async ({ client }) => {
      await assert.rejects(client.status(), code('process-gone'));
    }),
  );

  it(
    'is taken back when no answer comes',
    withPlayer('silent', async ({ client, directory }) => {
      await assert.rejects(client.status({ timeout: 200 }), code('runtime-timeout'));
      assert.deepEqual(left(directory), []);
    }),
  );

  it(
    'that the runtime has begun with is waited for although the time is over',
    withPlayer('slow', async ({ client }) => {
      assert.equal((await client.status({ timeout: 300 })).ok, true);
    }),
  );

  it(
    'is taken back when it is aborted',
    withPlayer('silent', async ({ client, directory, line }) => {
      const controller = new AbortController();
      const asked = client.status({ signal: controller.signal });
      await line();
      controller.abort(new Error('no longer wanted'));
      await assert.rejects(asked, /no longer wanted/);
      assert.deepEqual(left(directory), []);
    }),
  );

  it(
    'to a stopped process says that it is stopped',
    withPlayer('answer', async ({ client, child }) => {
      child.kill('SIGSTOP');
      await assert.rejects(client.status({ timeout: 300 }), /stopped/);
    }),
  );

  it(
    'to a stopped process may wait until it goes on',
    withPlayer('answer', async ({ client, child }) => {
      child.kill('SIGSTOP');
      const told: boolean[] = [];
      const onRunState = (stopped: unknown) => {
        told.push(stopped !== undefined);
        if (stopped) child.kill('SIGCONT');
      };
      assert.equal((await client.status({ waitWhileStopped: true, onRunState })).ok, true);
      assert.equal(told[0], true);
    }),
  );

  it(
    'is never rung for where the signal would end the process',
    withPlayer('deaf', async ({ client, child, directory }) => {
      await assert.rejects(client.status(), code('doorbell-taken'));
      assert.equal(child.exitCode, null);
      assert.deepEqual(left(directory), []);
    }),
  );

  it(
    'is not sent to another process that has the pid now',
    withPlayer('answer', async ({ target, directory }) => {
      const log = () => undefined;
      const other = { ...target, startTime: target.startTime - 1 };
      const client = createRuntimeClient(other, { demangle: createDemangler(new Caches(), log), log });
      await assert.rejects(client.status(), code('process-gone'));
      assert.deepEqual(left(directory), []);
    }),
  );

  it('cannot carry a path with a line break', () => {
    assert.throws(() => requestText('load', [['file', '/a\nb']]), code('bad-request'));
  });
});

describe('the runtime', () => {
  it(
    'of another protocol version is refused by name',
    withPlayer('answer', ({ target }) => {
      const foreign = { ...target, runtime: { ...target.runtime!, protocol: 7, version: '8.1' } };
      const log = () => undefined;
      assert.throws(
        () => createRuntimeClient(foreign, { demangle: createDemangler(new Caches(), log), log }),
        /8\.1.*protocol 7/,
      );
      return Promise.resolve();
    }),
  );

  it(
    'that has written no status yet has patched nothing',
    withPlayer('answer', async ({ client, directory, target }) => {
      assert.deepEqual((await client.readStatus()).functions, []);
      writeFileSync(
        join(directory, 'status.json'),
        JSON.stringify({ protocol: 1, pid: target.pid, sequence: 3, patches: [], functions: [oneFunction] }),
      );
      const [entry] = (await client.readStatus()).functions;
      assert.equal(entry!.name, 'tick()');
      assert.equal(entry!.verifiedFromMemory, null, 'nothing is mapped at that address');
    }),
  );
});

const oneFunction = {
  symbol: '_Z4tickv',
  address: '0x1000',
  module: '/p',
  version: 1,
  versions: [
    { version: 0, patch: null, address: '0x1000', size: 12, activeThreads: 0 },
    { version: 1, patch: 1, address: '0x2000', size: 13, activeThreads: 2 },
  ],
  trampoline: {
    address: '0x1000',
    kind: 'jmp-rel32',
    method: 'int3',
    bytesBefore: '5548',
    bytesAfter: 'e900',
    target: '0x2000',
  },
  pages: [{ start: '0x1000', length: 4096, calls: [{ protection: 'PROT_READ', result: -1, errno: 13 }] }],
  activeThreads: 2,
  verified: true,
};

describe('what the runtime writes', () => {
  const document = (change: object) =>
    JSON.stringify({
      protocol: 1,
      pid: 1,
      sequence: 1,
      patches: [],
      functions: [{ ...oneFunction, ...change }],
    });

  it('is taken over field by field', () => {
    const { functions } = parseStatus(document({}), '/p');
    assert.deepEqual(functions, [{ ...oneFunction, name: '_Z4tickv', verifiedFromMemory: null }]);
  });

  it('is refused with the name of the field that is wrong', () => {
    assert.throws(() => parseStatus(document({ address: '4096' }), '/p'), /functions\[0\]\.address/);
    assert.throws(() => parseStatus(document({ pages: {} }), '/p'), code('protocol-mismatch'));
    assert.throws(() => parseStatus('{', '/p'), code('protocol-mismatch'));
    const kind = { ...oneFunction.trampoline, kind: 'jmp-rel8' };
    assert.throws(() => parseStatus(document({ trampoline: kind }), '/p'), /jmp-rel8/);
  });

  it('may have a code of a newer version, whose message is kept', () => {
    const answer = parseAnswer(
      JSON.stringify({
        id: 'a',
        ok: false,
        error: { code: 'brand-new', message: 'something', symbol: null, errno: null },
        timings: { read: 0, load: 0, relocate: 0, write: 0, total: 0 },
        status: JSON.parse(document({})) as unknown,
      }),
      '/p',
    );
    assert.deepEqual([answer.error!.code, answer.error!.message], ['internal', 'something']);
  });
});

describe('the state of a process', () => {
  it('tells a debugger from SIGSTOP, and which signals are handled', () => {
    const status = (state: string, tracer: number) =>
      parseRunState(`Name:\tp\nState:\t${state} (x)\nTracerPid:\t${tracer}\nSigCgt:\t0000000000000a00\n`);
    assert.deepEqual(status('S', 0).stopped, undefined);
    assert.deepEqual(status('T', 0).stopped, { tracer: undefined });
    assert.deepEqual(status('t', 77).stopped, { tracer: 77 });
    const { caught } = status('S', 0);
    assert.deepEqual([10, 11, 12, 64].map(caught), [true, false, true, false]);
  });
});

describe('display names', () => {
  it('are demangled, in order, and stay as they are when they cannot be', async () => {
    const demangle = createDemangler(new Caches(), () => undefined);
    const names = ['main', '_Z4tickv', '_Zgarbage', '_ZN12_GLOBAL__N_13addEii', '_Z4tickv'];
    const expected = ['main', 'tick()', '_Zgarbage', '(anonymous namespace)::add(int, int)', 'tick()'];
    assert.deepEqual(await demangle(names), expected);
    assert.deepEqual(await demangle(names), expected);
  });

  it('are the symbols themselves where c++filt is missing', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      assert.deepEqual(await createDemangler(new Caches(), () => undefined)(['_Z4tickv']), ['_Z4tickv']);
    } finally {
      process.env['PATH'] = path;
    }
  });
});
