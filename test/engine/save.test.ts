// The way of a save as a whole: what counts as a change, what an undo does, what a result tells, and that a
// function which was patched often is still one jump away.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessStatus } from '../../extension/engine/model/result';
import { exitStatus } from '../support/hot_patch';
import { controlDirectory, mappings, readMemory, statusSequence } from '../support/memory';
import { inSession, Unit } from '../support/session';

const source = `static long calls = 0;
long value(long n) { calls++; return n * 2 + calls; }
`;

describe('a save', () => {
  it(
    'of a file that was already edited before the tool was first used is patched in',
    inSession(async (session) => {
      session.write('unit.cc', source);
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      assert.equal(await unit.value(10), 21);
      await session.patch('unit.cc');
      assert.equal(await unit.value(10), 32);
    }),
  );

  it(
    'of an unedited file changes nothing and sends nothing to the process',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const before = await statusSequence(session.path('run'), unit.program.pid);
      const result = await session.patch('unit.cc', 'unchanged');
      assert.deepEqual(result.changed, []);
      assert.equal(await statusSequence(session.path('run'), unit.program.pid), before);
    }),
  );

  it(
    'of comments and blank lines only changes nothing, as long as no code depends on line numbers',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('long value', '// what it does\n\nlong value', 'unchanged');
      assert.equal(await unit.value(1), 3);
    }),
  );

  it(
    'of a function that is running and never entered again says so',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('main.cc', '"pid\\n"', '"id\\n"');
      const result = await session.patch('main.cc');
      assert.deepEqual(
        result.warnings.map(({ code, symbol }) => [code, symbol]),
        [['old-code-stays', 'main']],
      );
      assert.equal(await unit.program.ask('pid'), String(unit.program.pid));
    }),
  );

  it(
    'that undoes the edit puts the original bytes back',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const entry = await entryOf(session.path('program'), '_Z5valuel', unit.program.pid);
      const original = readMemory(unit.program.pid, entry, 16);

      await unit.editAndPatch('n * 2', 'n * 3');
      assert.notEqual(readMemory(unit.program.pid, entry, 16), original);
      await unit.editAndPatch('n * 3', 'n * 2', 'reverted');

      assert.equal(readMemory(unit.program.pid, entry, 16), original);
      assert.equal(await unit.value(10), 21);
    }),
  );

  it(
    'of the same text again after a patch changes nothing and sends nothing',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const before = await statusSequence(session.path('run'), unit.program.pid);
      await session.patch('unit.cc', 'unchanged');
      assert.equal(await statusSequence(session.path('run'), unit.program.pid), before);
      assert.equal(await unit.value(10), 31);
    }),
  );

  it(
    'after ten patches is still one jump from the original entry, and state was kept through all',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const { pid } = unit.program;
      const entry = await entryOf(session.path('program'), '_Z5valuel', pid);
      for (let i = 1; i <= 10; i++) {
        const result = await unit.editAndPatch(`n * ${i === 1 ? 2 : 100 + i - 1}`, `n * ${100 + i}`);
        assert.equal(await unit.value(1), 100 + i + i);

        const [changed] = result.processes[0]!.functions;
        const { kind } = changed!.trampoline;
        const jump = followJump(pid, entry);
        // By an island as long as an address in the replaced bytes may still be one to return to (docs/PROTOCOL.md).
        const isStraight = kind === 'jmp-rel32' || jump === BigInt(changed!.trampoline.target);
        const target = isStraight ? jump : followIsland(pid, jump);
        assert.equal(target, BigInt(changed!.trampoline.target));
        const patchMapping = mappings(pid).find(({ start, end }) => start <= target && target < end);
        assert.match(patchMapping!.path, /\/patches\//);
        assert.doesNotMatch(readMemory(pid, target, 1), /e9|cc/, 'the new version is itself redirected');
      }
    }),
  );

  it(
    'tells for each function its trampoline, pages and mprotect calls, verified from memory',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const { pid } = unit.program;
      const entry = await entryOf(session.path('program'), '_Z5valuel', pid);
      const original = readMemory(pid, entry, 16);
      const result = await unit.editAndPatch('n * 2', 'n * 3');

      assert.deepEqual(result.refusals, []);
      assert.equal(result.processes.length, 1);
      assert.equal(result.processes[0]!.exe, session.path('program'));
      const [changed] = result.processes[0]!.functions;
      assert.equal(changed!.name, 'value(long)');
      assert.equal(changed!.symbol, '_Z5valuel');
      assert.equal(changed!.version, 1);
      assert.equal(changed!.verified, true);
      assert.equal(changed!.verifiedFromMemory, true);
      assert.equal(changed!.activeThreads, 0);

      const { trampoline, pages } = changed!;
      assert.equal(BigInt(trampoline.address), entry);
      assert.ok(original.startsWith(trampoline.bytesBefore) && trampoline.bytesBefore.length >= 10);
      if (trampoline.kind === 'jmp-rel32')
        assert.equal(trampoline.bytesAfter, readMemory(pid, entry, trampoline.bytesAfter.length / 2));
      assert.ok(pages.length >= 1);
      for (const page of pages) {
        assert.equal(BigInt(page.start) % BigInt(page.length), 0n);
        assert.ok(BigInt(page.start) <= entry);
        assert.ok(page.calls.length >= 2);
        assert.deepEqual(
          page.calls.map(({ result, errno }) => [result, errno]),
          page.calls.map(() => [0, 0]),
        );
        assert.doesNotMatch(page.calls.at(-1)!.protection, /PROT_WRITE/);
      }
      const code = mappings(pid).find(({ start, end }) => start <= entry && entry < end);
      assert.equal(code!.protection, 'r-xp');

      for (const step of ['compile', 'compare', 'link', 'deliver', 'total']) {
        assert.equal(
          typeof result.timings[step],
          'number',
          `${step} is not timed: ${JSON.stringify(result.timings)}`,
        );
      }
    }),
  );

  it(
    'tells an entry that was made to jump by itself since the status was written from one that somebody changed',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      const { pid } = unit.program;
      const path = join(controlDirectory(session.path('run'), pid)!, 'status.json');
      // It cannot write another one.
      process.kill(pid, 'SIGSTOP');
      const verified = async (change: (status: string) => string): Promise<boolean | null> => {
        writeFileSync(path, change(readFileSync(path, 'utf8')));
        const { stdout } = await session.hotPatch('status', String(pid), '--json');
        const [status] = JSON.parse(stdout) as ProcessStatus[];
        return status!.functions[0]!.verifiedFromMemory;
      };
      const written = (status: string) => status.replace(/("bytesAfter": ?")[0-9a-f]+/, '$1e911223344');
      assert.equal(await verified(written), false);
      assert.equal(await verified((status) => status.replace(/"jmp-rel32"/, '"jmp-rel32+island"')), true);
      assert.equal(await verified((status) => status.replace(/("target": ?"0x)[0-9a-f]+/, '$1abc')), false);
    }),
  );

  it(
    'leaves no page of the process writable and executable',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      await unit.editAndPatch('n * 3', 'n * 4');
      assert.deepEqual(
        mappings(unit.program.pid).filter(({ protection }) => /wx/.test(protection)),
        [],
      );
    }),
  );

  it(
    'with --dry-run says what would change, and changes nothing',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const before = await statusSequence(session.path('run'), unit.program.pid);
      const run = await session.hotPatch('patch', '--json', '--dry-run', 'unit.cc');
      assert.equal(run.status, exitStatus.done, run.stderr);
      const { changed } = JSON.parse(run.stdout) as { changed: { symbol: string; kind: string }[] };
      assert.deepEqual(
        changed.map(({ symbol, kind }) => [symbol, kind]),
        [['_Z5valuel', 'changed']],
      );
      assert.equal(await statusSequence(session.path('run'), unit.program.pid), before);
      assert.equal(await unit.value(10), 21);
    }),
  );

  it(
    'prints for people what it did, without --json',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const run = await session.hotPatch('patch', 'unit.cc');
      assert.equal(run.status, exitStatus.done);
      assert.match(run.stdout + run.stderr, /value\(long\)/);
      assert.match(run.stdout + run.stderr, new RegExp(String(unit.program.pid)));
    }),
  );
});

describe('hot-patch revert', () => {
  it(
    'puts the original back, and a later save patches again',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const { pid } = unit.program;
      const entry = await entryOf(session.path('program'), '_Z5valuel', pid);
      const original = readMemory(pid, entry, 16);
      await unit.editAndPatch('n * 2', 'n * 3');

      const result = await session.revert('--pid', String(pid));
      assert.equal(result.outcome, 'reverted');
      assert.equal(readMemory(pid, entry, 16), original);
      assert.equal(await unit.value(10), 21);

      await session.patch('unit.cc');
      assert.equal(await unit.value(10), 32);
    }),
  );
});

describe('hot-patch status', () => {
  it(
    'shows the versions of each function and which one runs',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('n * 2', 'n * 3');
      await unit.editAndPatch('n * 3', 'n * 4');
      const document = JSON.stringify(await session.status('--pid', String(unit.program.pid)));
      assert.match(document, /"symbol":"_Z5valuel"/);
      assert.match(document, /"version":2/);
      assert.match(document, /"versions":\[/);
      const run = await session.hotPatch('status', '--pid', String(unit.program.pid));
      assert.match(run.stdout, /value\(long\)/);
      assert.match(run.stdout, /PROT_READ/);
    }),
  );
});

/** Run-time address of a symbol, from the file's symbol table (nm) and the process's map: independent of the engine. */
async function entryOf(program: string, symbol: string, pid: number): Promise<bigint> {
  const { execFileSync } = await import('node:child_process');
  const row = execFileSync('nm', [program], { encoding: 'utf8' })
    .split('\n')
    .find((line) => line.endsWith(` ${symbol}`));
  const address = BigInt(`0x${row!.split(' ')[0]}`);
  const isPie = readFileSync(program).readUInt16LE(16) === 3;
  return isPie ? mappings(pid).find(({ path }) => path === program)!.start + address : address;
}

/** Where an island, `notrack jmp *slot(%rip)`, leads. */
function followIsland(pid: number, island: bigint): bigint {
  const bytes = Buffer.from(readMemory(pid, island, 7), 'hex');
  assert.equal(bytes.toString('hex', 0, 3), '3eff25');
  const slot = island + 7n + BigInt(bytes.readInt32LE(3));
  return Buffer.from(readMemory(pid, slot, 8), 'hex').readBigUInt64LE();
}

/** Target of the `jmp rel32` at an entry (behind an endbr64 if there is one). */
function followJump(pid: number, entry: bigint): bigint {
  const bytes = Buffer.from(readMemory(pid, entry, 16), 'hex');
  const at = bytes.readUInt32BE(0) === 0xf30f1efa ? 4 : 0;
  assert.equal(bytes[at], 0xe9, `no jump at the entry: ${bytes.toString('hex')}`);
  return entry + BigInt(at + 5 + bytes.readInt32LE(at + 1));
}
