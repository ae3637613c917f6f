// Processes and files that other programs made wrong: each costs only itself, and is named with the reason. Every save
// here must end, so a reader that never does fails by the time limit of the test.
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PT_NOTE } from '../../extension/engine/elf/constants';
import { ElfFile } from '../../extension/engine/elf/file';
import { createEngine } from '../../extension/engine/create_engine';
import type { Target } from '../../extension/engine/engine';
import { readProcess } from '../../extension/engine/host';
import { controlDirectory } from '../support/memory';
import { inSession, type Session, Unit } from '../support/session';

const source = `long value(long n) { return n * 2; }
`;

/** A second program from the same objects, changed at some bytes, and a process of it. */
async function startDamaged(
  session: Session,
  damage: (elf: ElfFile, bytes: Buffer) => void,
): Promise<number> {
  const path = session.path('damaged');
  copyFileSync(session.path('program'), path);
  const bytes = readFileSync(path);
  damage(ElfFile.parse(path, Buffer.from(bytes)), bytes);
  writeFileSync(path, bytes);
  const { pid } = await session.start('damaged');
  return pid;
}

/** A note that is 12 bytes long, and whose name would end before it begins if sizes were signed. */
function notesWithoutEnd(elf: ElfFile, bytes: Buffer): void {
  for (const { type, offset, alignment } of elf.segments) {
    // The loader itself reads those that are aligned to 8.
    if (type !== PT_NOTE || alignment !== 4) continue;
    bytes.writeUInt32LE(0xfffffff4, offset);
    bytes.writeUInt32LE(0, offset + 4);
  }
}

function debugInformationOverwritten(elf: ElfFile, bytes: Buffer): void {
  const { offset, size } = elf.section('.debug_info')!;
  bytes.fill(0xff, offset, offset + size);
}

describe('a process whose program is malformed', () => {
  for (const [name, damage] of Object.entries({ notesWithoutEnd, debugInformationOverwritten }))
    it(
      `does not stand in the way of a save that concerns another one (${name})`,
      inSession(async (session) => {
        const unit = await Unit.start(session, source);
        await startDamaged(session, damage);
        session.edit('unit.cc', 'n * 2', 'n * 3');
        await session.patch(['unit.cc', '--pid', String(unit.program.pid)]);
        assert.equal(await unit.value(10), 30);
      }),
    );

  it(
    'is named with the reason when nothing else was built from the file',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const pid = await startDamaged(session, debugInformationOverwritten);
      await unit.program.stop();
      const run = await session.hotPatch('patch', 'unit.cc');
      assert.match(run.stderr, new RegExp(`damaged \\(process ${pid}\\) cannot be looked at: `));
    }),
  );
});

describe('a runtime that cannot be reached', () => {
  it(
    'is not told as one that is missing: the directory that others may use is named',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await session.patch('unit.cc');
      const directory = controlDirectory(session.path('run'), unit.program.pid)!;
      chmodSync(directory, 0o755);
      const run = await session.hotPatch('patch', 'unit.cc');
      assert.match(run.stderr, /runtime-unreachable/);
      assert.match(run.stderr, new RegExp(`${directory} may be used by others \\(mode 755\\)`));
      chmodSync(directory, 0o700);
      await session.patch('unit.cc', 'unchanged');
    }),
  );
});

describe('a FIFO', () => {
  it(
    'in the place of a header, a response file or a debug file holds up nothing',
    inSession(async (session) => {
      session.write('part.h', 'long value(long);\n');
      const unit = await Unit.start(session, `#include "part.h"\n${source}`);
      execFileSync('mkfifo', [session.path('other.h'), session.path('flags')]);
      session.write('other.cc', '#include "other.h"\n#include "new.h"\nint other;\n');
      session.write('new.h', '#define NEW 1\n');
      const commands = JSON.parse(session.read('compile_commands.json')) as { arguments: string[] }[];
      const [first] = commands;
      session.writeDatabase([
        ...commands,
        { directory: session.directory, file: 'other.cc', arguments: ['g++', '@flags', '-c', 'other.cc'] },
      ] as Parameters<Session['writeDatabase']>[0]);
      assert.ok(first);
      const run = await session.hotPatch('patch', 'new.h');
      assert.match(run.stderr, /no-process/);
      assert.equal(await unit.value(1), 2);
    }),
  );
});

describe('nothing to choose from', () => {
  it(
    'is told as such by patch and check, and not as a file that is unchanged',
    inSession(async (session) => {
      session.write('unit.cc', source);
      const engine = createEngine({
        temporaryDirectory: session.path('tmp'),
        preambleDirectory: session.path('preambles'),
        layoutDirectory: session.path('layouts'),
      });
      try {
        const target: Target = { kind: 'pid', pids: [] };
        const files = [join(session.directory, 'unit.cc')];
        const result = await engine.patch({ files, target });
        assert.deepEqual(
          [result.outcome, result.refusals.map(({ code }) => code)],
          ['failed', ['no-process']],
        );
        const [report] = await engine.check(files, target);
        assert.equal(report!.verdict, 'no-process');
        assert.match(report!.message, /No process was chosen/);
      } finally {
        await engine.dispose();
      }
    }),
  );
});

describe('a read of /proc', () => {
  it('is not taken for one that the kernel holds back while the engine computes', async () => {
    const reading = readProcess(process.pid, 'maps');
    const end = performance.now() + 2_100; // longer than a read may take
    while (performance.now() < end);
    assert.ok((await reading).includes('[stack]'));
  });
});
