// What a save does when the files between engine and runtime are not as they left them: the process lives, nothing is
// lost in silence, and the next save works or says why not.
import { strict as assert } from 'node:assert';
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { controlDirectory } from '../support/memory';
import { inSession, type Session, Unit } from '../support/session';

const source = `long value(long n) { return n * 2; }
`;
const counting = 'static long calls = 0; return n * 2 + ++calls;';

function directoryOf(session: Session, pid: number): string {
  return controlDirectory(session.path('run'), pid)!;
}

describe('a patch file that runs in the process', () => {
  it(
    'is not needed to exist by the process; a save without it is refused by name, and works when it is back',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('return n * 2;', counting);
      assert.equal(await unit.value(10), 21);
      const patches = join(directoryOf(session, unit.program.pid), 'patches');
      const [name] = readdirSync(patches);
      renameSync(join(patches, name!), session.path('away'));
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const refused = await session.refused('unit.cc', 'patch-file-missing');
      assert.match(refused.refusals[0]!.message, /does not exist/);
      assert.equal(await unit.value(10), 22);
      writeFileSync(join(patches, name!), 'no ELF file');
      await session.refused('unit.cc', 'patch-file-missing');
      rmSync(join(patches, name!));
      renameSync(session.path('away'), join(patches, name!));
      await session.patch('unit.cc');
      assert.equal(await unit.value(10), 33, 'the variable that the first patch brought keeps its value');
    }),
  );
});

describe('a status that the runtime could not write', () => {
  it(
    'is asked for again before anything is compared, so that what earlier patches brought is kept',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.editAndPatch('return n * 2;', counting);
      assert.equal(await unit.value(10), 21);
      rmSync(join(directoryOf(session, unit.program.pid), 'status.json'));
      await unit.editAndPatch('n * 2', 'n * 3');
      assert.equal(await unit.value(10), 32);
    }),
  );
});
