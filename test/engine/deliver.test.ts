// The step `deliver` against a runtime that answers as the test says: each row of the table of retries with its own
// limit, and which patch files are left. Time is the test's.
import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer, EngineContext, LiveTarget, RuntimeClient } from '../../extension/engine/context';
import { type ErrorCode, HotPatchError } from '../../extension/engine/model/errors';
import type { LoadedPatch } from '../../extension/engine/model/result';
import { type Clock, deliver, RETRIES } from '../../extension/engine/save/deliver';
import { Save } from '../../extension/engine/save/progress';
import type { PatchFile } from '../../extension/engine/save/unit';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const ENTRY = 0x5555_0000_1000;
const PLACE = 0x5554_f000_0000;

/** What the runtime does with one request: its answer, or what is thrown instead. */
type Reply = (files: string[]) => Partial<Answer> | Error;

const done: Reply = () => ({ ok: true, error: null });
const no =
  (code: ErrorCode, milliseconds = 0): Reply =>
  () => {
    now += milliseconds;
    return { ok: false, error: { code, message: `no: ${code}`, symbol: null, errno: null } };
  };
const lost: Reply = () => new HotPatchError('answer-lost', 'It gave no answer', { pid: 42 });

let now = 0;
let paused = 0;
const clock: Clock = {
  now: () => now,
  pause: (milliseconds, signal) => {
    signal?.throwIfAborted();
    now += milliseconds;
    paused += milliseconds;
    return Promise.resolve();
  },
};

interface Stage {
  /** Delivers one function; what was thrown, if anything was. */
  run: (replies: Reply[], memory?: Buffer) => Promise<HotPatchError | undefined>;
  save: Save;
  /** Patch files that are left. */
  files: () => string[];
  /** Places the patch was written for. */
  places: number[];
  requests: () => number;
}

function onStage(test: (stage: Stage) => Promise<void>) {
  return async () => {
    const directory = temporaryDirectory();
    now = paused = 0;
    try {
      await test(stage(directory));
    } finally {
      removeTemporaryDirectory(directory);
    }
  };
}

function stage(directory: string): Stage {
  const patchDirectory = join(directory, 'patches');
  let replies: Reply[] = [];
  let requests = 0;
  let memory = Buffer.alloc(5);
  const client = {
    process: { pid: 42, exe: '/program' },
    patchDirectory,
    patch: (files: string[]) => {
      const reply = replies[Math.min(requests++, replies.length - 1)]!(files);
      assert.ok(files.every((file) => existsSync(file)));
      const status = { pid: 42, exe: '/program', sequence: 1, patches: [], functions: [] };
      return reply instanceof Error
        ? Promise.reject(reply)
        : Promise.resolve({
            id: '1',
            timings: {},
            status,
            ok: false,
            error: null,
            warnings: [],
            migrated: [],
            ...reply,
          });
    },
  } as unknown as RuntimeClient;
  const context = {
    log: () => undefined,
    demangle: (symbols: string[]) => Promise.resolve(symbols),
    processes: {
      runtime: () => client,
      addressSpace: () => Promise.resolve({ mappings: [], heapEnd: 0 }),
      readMemory: () => Promise.resolve(memory),
      isTraced: () => true,
    },
  } as unknown as EngineContext;
  const save = new Save(context, { files: ['/unit.cc'], target: { kind: 'match' } });
  const places: number[] = [];
  const link = { length: 4096, write: (start: number) => (places.push(start), Buffer.from('patch')) };
  const module = { path: '/program', start: ENTRY, end: ENTRY + 4096, positionIndependent: true };
  const fix = { entry: ENTRY, jumpOffset: 0, boundaries: 1, fn: { symbol: { name: 'value' } } };
  const plan = {
    target: { process: client.process } as LiveTarget,
    module,
    occupied: [],
    units: [{ fixes: [fix], start: [], comparison: { object: { source: '/unit.cc' } } }],
  };
  const patch = {
    plan,
    linked: { link, start: PLACE, bytes: Buffer.from('patch'), verify: () => undefined },
    reverts: [],
  } as unknown as PatchFile;
  return {
    save,
    places,
    requests: () => requests,
    files: () => (existsSync(patchDirectory) ? readdirSync(patchDirectory) : []),
    run: async (wanted, bytes = Buffer.alloc(5)) => {
      replies = wanted;
      memory = Buffer.from(bytes);
      try {
        await deliver(save, [patch], clock);
        return undefined;
      } catch (error) {
        assert.ok(error instanceof HotPatchError, String(error));
        return error;
      }
    },
  };
}

/** A jump from the entry to the patch. */
function jumpIntoPatch(): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = 0xe9;
  const distance = PLACE + 16 - (ENTRY + 5);
  bytes.writeUInt32LE(distance >>> 0, 1);
  return bytes;
}

describe('the table of retries', () => {
  it('has a test for each of its rows', () => {
    assert.deepEqual(Object.keys(RETRIES).sort(), [
      'address-taken',
      'caller-active',
      'original-differs',
      'pointer-left',
      'thread-unresponsive',
    ]);
  });

  it(
    'waits two seconds for an active caller, however long the runtime itself takes for each answer',
    onStage(async ({ run, requests }) => {
      assert.equal((await run([no('caller-active', 100)]))?.code, 'caller-active');
      assert.ok(now >= 2000 && now <= 2300, String(now));
      assert.equal(requests(), 11);
    }),
  );

  it(
    'delivers when the active caller has returned',
    onStage(async ({ run, save }) => {
      assert.equal(await run([no('caller-active'), no('caller-active'), done]), undefined);
      assert.equal(save.processes.length, 1);
      assert.equal(paused, 200);
    }),
  );

  it(
    'moves the patch three times when its place is taken, each time to another place, without waiting',
    onStage(async ({ run, places, requests }) => {
      assert.equal((await run([no('address-taken')]))?.code, 'address-taken');
      assert.equal(requests(), 4);
      assert.equal(new Set([PLACE, ...places]).size, 4);
      assert.equal(paused, 0);
    }),
  );

  it(
    'counts moves apart from waits, so that rounds of waiting use up no place',
    onStage(async ({ run }) => {
      const waits = Array.from({ length: 6 }, () => no('caller-active'));
      assert.equal(await run([...waits, no('address-taken'), no('address-taken'), done]), undefined);
    }),
  );

  it(
    'tries twice more when a thread did not come to rest',
    onStage(async ({ run, requests }) => {
      assert.equal((await run([no('thread-unresponsive')]))?.code, 'thread-unresponsive');
      assert.equal(requests(), 3);
    }),
  );

  it(
    'tries five times more when a pointer was left, which a thread may have had for a moment',
    onStage(async ({ run, requests }) => {
      assert.equal((await run([no('pointer-left')]))?.code, 'pointer-left');
      assert.equal(requests(), 6);
    }),
  );

  it(
    'does not try again where the code at the entry differs and no debugger has a breakpoint there',
    onStage(async ({ run, requests }) => {
      assert.equal((await run([no('original-differs')]))?.code, 'original-differs');
      assert.equal(requests(), 1);
    }),
  );

  it(
    'gives up at once on every other code',
    onStage(async ({ run, requests }) => {
      assert.equal((await run([no('mprotect-failed')]))?.code, 'mprotect-failed');
      assert.equal(requests(), 1);
    }),
  );
});

describe('the patch file of a save', () => {
  it(
    'is removed when it failed and the process does not use it',
    onStage(async ({ run, files }) => {
      await run([no('mprotect-failed')]);
      assert.deepEqual(files(), []);
    }),
  );

  it(
    'stays when it failed after threads had entered its code, because later saves read it',
    onStage(async ({ run, files }) => {
      const entered: Reply = ([file]) => ({
        ...(no('mprotect-failed')([]) as Partial<Answer>),
        status: {
          pid: 42,
          exe: '/program',
          sequence: 2,
          functions: [],
          patches: [{ file } as LoadedPatch],
        },
      });
      await run([entered]);
      assert.equal(files().length, 1);
    }),
  );

  it(
    'is removed when the request was never taken',
    onStage(async ({ run, files }) => {
      for (const code of ['runtime-timeout', 'runtime-blocked', 'doorbell-taken', 'process-gone'] as const) {
        assert.equal((await run([() => new HotPatchError(code, 'no')]))?.code, code);
        assert.deepEqual(files(), [], code);
      }
    }),
  );

  it(
    'cannot be written where the process has removed its control directory, which is not made anew',
    onStage(async ({ run, save }) => {
      const gone = join(temporaryDirectory(), 'gone');
      Object.assign(save.client({ process: {} } as LiveTarget), { patchDirectory: join(gone, 'patches') });
      assert.equal((await run([done]))?.code, 'process-gone');
      assert.equal(existsSync(gone), false);
      mkdirSync(gone);
      removeTemporaryDirectory(join(gone, '..'));
    }),
  );
});

describe('a request whose answer was lost', () => {
  it(
    'says that the new version runs when memory shows it, and keeps the file',
    onStage(async ({ run, files }) => {
      const error = await run([lost], jumpIntoPatch());
      assert.equal(error?.code, 'answer-lost');
      assert.match(error.message, /1 of 1 functions of this save run their new version/);
      assert.equal(files().length, 1);
    }),
  );

  it(
    'says that the process runs as before only when memory shows it',
    onStage(async ({ run }) => {
      const error = await run([lost], Buffer.from('554889e553', 'hex'));
      assert.match(error?.message ?? '', /memory shows that it runs as before/);
    }),
  );
});
