// When a save cannot be applied for a reason that is not in the edit: the message says what happened and what to do,
// the exit status tells scripts, and the process goes on.
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { exitStatus, patch } from '../support/hot_patch';
import { inSession, Unit, type Session } from '../support/session';

const source = 'long value(long n) { return n * 2; }\n';

async function patchFails(session: Session, args: string[], status: number, code: string, message: RegExp) {
  const result = await patch(args, session.options, status);
  const problem = result.refusals.find((refusal) => refusal.code === code);
  assert.ok(problem, `no ${code} in ${JSON.stringify(result.refusals, null, 2)}`);
  assert.match(problem.message, message);
  const forPeople = await session.hotPatch('patch', ...args);
  assert.equal(forPeople.status, status);
  assert.match(forPeople.stderr, message);
  return result;
}

async function unharmed({ program }: Unit) {
  assert.equal(await program.ask('pid'), String(program.pid));
  assert.equal(await program.ask('10'), '20');
}

describe('patching says so and leaves the process as it is', () => {
  it(
    'when no process runs the file',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.program.stop();
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await patchFails(session, ['unit.cc'], exitStatus.noProcess, 'no-process', /unit\.cc/);
    }),
  );

  it(
    'when the process has no runtime, and how to get it in',
    inSession(async (session) => {
      const { program } = await Unit.start(session, source);
      await program.stop();
      const plain = await session.startPlain();
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const result = await patchFails(
        session,
        ['unit.cc'],
        exitStatus.noProcess,
        'no-runtime',
        new RegExp(String(plain.pid)),
      );
      assert.equal(result.outcome, 'failed');
      const forPeople = await session.hotPatch('patch', 'unit.cc');
      assert.equal(forPeople.status, exitStatus.noProcess, forPeople.stderr + forPeople.stdout);
      assert.match(forPeople.stderr, /hot-patch run/);
      assert.equal(await plain.ask('10'), '20');
    }),
  );

  it(
    'when the program was rebuilt after the process started',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await session.build({ sources: ['main.cc', 'unit.cc'], flags: ['-O2', '-g'] });
      await patchFails(session, ['unit.cc'], exitStatus.refused, 'rebuilt', /rebuilt|restart/i);
      await unharmed(unit);
    }),
  );

  it(
    'when the compiler reports an error, with its message, file, line and column',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'return n * 2;', 'return n * undeclared_name;');
      const result = await patchFails(
        session,
        ['unit.cc'],
        exitStatus.compileError,
        'compile-failed',
        /undeclared_name/,
      );
      assert.equal(result.outcome, 'failed');
      const error = result.diagnostics.find(({ severity }) => severity === 'error');
      assert.match(error!.message, /undeclared_name/);
      assert.equal(error!.file, session.path('unit.cc'));
      assert.equal(error!.line, 1);
      assert.equal(error!.column, 33);
      await unharmed(unit);
    }),
  );

  it(
    'when the file has no function of the given name',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      const args = ['unit.cc', '--function', 'no_such_function'];
      await patchFails(session, args, exitStatus.refused, 'unknown-function', /no_such_function/);
      await unharmed(unit);
    }),
  );

  it(
    'when the file does not exist',
    inSession(async (session) => {
      await patchFails(session, ['missing.cc'], exitStatus.compileError, 'file-not-found', /missing\.cc/);
    }),
  );

  it(
    'when the named process does not exist',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await unit.program.stop();
      const args = ['unit.cc', '--pid', String(unit.program.pid)];
      await patchFails(
        session,
        args,
        exitStatus.noProcess,
        'process-gone',
        new RegExp(String(unit.program.pid)),
      );
    }),
  );

  it(
    'when there is no compile database',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      await session.run('rm', ['compile_commands.json']);
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await patchFails(
        session,
        ['unit.cc'],
        exitStatus.compileError,
        'no-compile-database',
        /compile_commands/,
      );
      await unharmed(unit);
    }),
  );

  it(
    'when the compile database has no entry for the file',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      const commands = JSON.parse(session.read('compile_commands.json')) as { file: string }[];
      session.write(
        'compile_commands.json',
        JSON.stringify(commands.filter(({ file }) => file !== 'unit.cc')),
      );
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await patchFails(session, ['unit.cc'], exitStatus.compileError, 'no-compile-command', /unit\.cc/);
      await unharmed(unit);
    }),
  );

  it(
    'when the compile database is not JSON',
    inSession(async (session) => {
      const unit = await Unit.start(session, source);
      writeFileSync(session.path('compile_commands.json'), '[{"directory": ');
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await patchFails(
        session,
        ['unit.cc'],
        exitStatus.compileError,
        'bad-compile-database',
        /compile_commands\.json/,
      );
      await unharmed(unit);
    }),
  );

  it(
    'when the command was recorded with other flags than the program was built with',
    inSession(async (session) => {
      const functions = Array.from(
        { length: 12 },
        (_, i) =>
          `long f${i}(long n) { long t = 0; for (long k = 0; k < n; k++) t += k * ${i + 3} ^ n; return t; }`,
      );
      const unit = await Unit.start(session, `${functions.join('\n')}\n${source}`);
      session.write('compile_commands.json', session.read('compile_commands.json').replaceAll('-O2', '-O0'));
      session.edit('unit.cc', 'n * 2', 'n * 3');
      await patchFails(session, ['unit.cc'], exitStatus.refused, 'flags-differ', /-O2.*-O0/);
      await unharmed(unit);
    }),
  );
});

describe('wrong usage', () => {
  for (const args of [
    ['patch'],
    ['nonsense'],
    ['patch', 'a.cc', '--no-such-option'],
    ['patch', 'a.cc', '--pid', 'x'],
  ]) {
    it(
      `\`hot-patch ${args.join(' ')}\` ends with status 64 and says what is possible`,
      inSession(async (session) => {
        const run = await session.hotPatch(...args);
        assert.equal(run.status, exitStatus.usage);
        assert.match(run.stderr, /hot-patch|usage/i);
        assert.equal(run.stdout, '');
      }),
    );
  }
});
