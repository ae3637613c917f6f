// What an engine keeps between saves: bounded, and its own.
import { strict as assert } from 'node:assert';
import { Caches } from '../../extension/engine/caches';
import { createDemangler } from '../../extension/engine/process/demangle';
import { ready, withEngines } from '../support/engines';
import { inSession, Unit } from '../support/session';

const MINUTE = 60_000;

describe('the caches of an engine', () => {
  let now = 0;
  const clock = () => now;
  /** Keeps what it is asked for; `released` tells what it let go of. */
  function counting(limit: number): { caches: Caches; ask: (key: string) => string; released: string[] } {
    const released: string[] = [];
    const caches = new Caches(clock);
    const cache = caches.create<string>({ limit, release: (value) => released.push(value) });
    return { caches, ask: (key) => cache.get(key, () => `of ${key}`), released };
  }

  it('make a thing once, and share it with no other engine', () => {
    const one = new Caches(clock).create<object>({ limit: 1 });
    const other = new Caches(clock).create<object>({ limit: 1 });
    const made = one.get('file', () => ({}));
    assert.equal(
      one.get('file', () => ({})),
      made,
    );
    assert.equal(one.find('file'), made);
    assert.equal(other.find('file'), undefined);
    assert.notEqual(
      other.get('file', () => ({})),
      made,
    );
  });

  it('stay bounded over a day of saves, each with a patch of its own', () => {
    const { caches, ask, released } = counting(512);
    for (let save = 0; save < 10_000; save++) {
      now += MINUTE / 10;
      ask(`patch ${save}`);
      assert.ok(caches.size <= 512, `${caches.size} after ${save} saves`);
    }
    assert.equal(caches.size + released.length, 10_000);
    assert.equal(released[0], 'of patch 0');
  });

  it('let go of the longest unused, and of nothing that a save may still work with', () => {
    const { ask, released } = counting(2);
    ask('a');
    ask('b');
    now += 9 * MINUTE;
    ask('a');
    ask('c');
    assert.deepEqual(released, [], 'all were used in the last ten minutes');
    now += 2 * MINUTE;
    ask('d');
    assert.deepEqual(released, ['of b']);
  });

  it('with the limit 0 keep what is used only', () => {
    const { caches, ask, released } = counting(0);
    ask('a');
    now += 11 * MINUTE;
    ask('b');
    assert.deepEqual(released, ['of a']);
    caches.clear();
    assert.deepEqual(released, ['of a', 'of b']);
    assert.equal(caches.size, 0);
  });

  it('keep nothing that could not be made', () => {
    const { caches } = counting(1);
    const cache = caches.create<string>({ limit: 1 });
    const fail = (): string => {
      throw new Error('no such file');
    };
    assert.throws(() => cache.get('file', fail), /no such file/);
    assert.equal(
      cache.get('file', () => 'there now'),
      'there now',
    );
  });
});

describe('two engines in one process', () => {
  it(
    'patch one program in turns, and one goes on when the other is disposed of',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        'long factor = 2;\nlong value(long n) { return n * factor + 0; }\n',
      );
      const { pid } = unit.program;
      const files = [session.path(unit.file)];
      await withEngines(session, async (create) => {
        const [one, other] = [create(), create()];
        let added = 0;
        /** Each save builds on the patches of the others. */
        const save = async (engine: typeof one): Promise<void> => {
          session.edit(unit.file, `+ ${added}`, `+ ${added + 1}`);
          added++;
          const result = await engine.patch({ files, target: { kind: 'pid', pids: [pid] } });
          assert.equal(result.outcome, 'patched', JSON.stringify(result.refusals));
          assert.equal(await unit.value(10), 20 + added);
        };
        await ready(one, pid);
        for (const engine of [one, other, one]) await save(engine);
        await one.dispose();
        await save(other);
        await save(other);
      });
    }),
  );
});

describe('the names of C++ functions', () => {
  it('are asked for again after c++filt could not be run', async () => {
    const demangle = createDemangler(new Caches(), () => undefined);
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      assert.deepEqual(await demangle(['_Z5valuei', 'main']), ['_Z5valuei', 'main']);
    } finally {
      process.env['PATH'] = path;
    }
    assert.deepEqual(await demangle(['_Z5valuei', 'main']), ['value(int)', 'main']);
  });
});
