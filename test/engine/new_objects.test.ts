// New objects that code initialises at start, and new functions that the start calls: they run once in the process, before
// anything uses them, and what exists already is left alone.
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { inSession, type Session, Unit } from '../support/session';

/** Does nothing to small numbers; long enough for a jump. */
const plain = 'long value(long n) { n = n < -1000 ? -1000 : n; return n; }';

/** What the compiler of g++ 11 does to reach a library from a patch is position-independent code: there other functions are
 * local, and those that initialise units have other names. */
const builds = ['g++ -O0', 'g++ -O2', 'g++-11 -O0', 'g++-11 -O2', 'clang++ -O0', 'clang++ -O2'].flatMap(
  (text) => {
    const [compiler = '', ...flags] = text.split(' ');
    const isThere = spawnSync('which', [compiler]).status === 0;
    return isThere ? [{ text, options: { compiler, flags: ['-g', ...flags] } }] : [];
  },
);

/** A C++ unit whose program has no other, so that nothing in it ever included <iostream>. */
async function startWithoutStreams(session: Session, compiler: string, flags: string[], source: string) {
  session.copySample('driver');
  session.write('unit.cc', source);
  const command = [compiler, ...flags, '-c', 'unit.cc', '-o', 'unit.cc.o'];
  await session.run(command[0]!, command.slice(1));
  await session.run('gcc', ['-g', '-c', 'main.c', '-o', 'main.c.o']);
  await session.run(compiler, ['main.c.o', 'unit.cc.o', '-o', 'program']);
  session.writeDatabase([{ directory: session.directory, file: 'unit.cc', arguments: command }]);
  return session.start();
}

for (const { text, options } of builds)
  describe(`A new object that is initialised at start (${text})`, () => {
    it(
      'is <iostream>, in a program that never used the streams: what the edit prints appears',
      inSession(async (session) => {
        const program = await startWithoutStreams(
          session,
          options.compiler,
          options.flags,
          '#include <string>\nextern "C" long value(long n) { return n + std::string(n < 0 ? 40 : 0, 120).size(); }\n',
        );
        assert.equal(await program.ask('5'), '5');
        session.edit('unit.cc', 'return n', 'std::cerr << "n is " << n << std::endl; return n');
        session.edit('unit.cc', '#include <string>', '#include <iostream>\n#include <string>');
        await session.patch('unit.cc');
        assert.equal(await program.ask('6'), '6');
        assert.equal(await program.errorLine(), 'n is 6');
        // What was constructed is not new again.
        session.edit('unit.cc', '"n is "', '"now n is "');
        assert.deepEqual((await session.patch('unit.cc')).warnings, []);
        assert.equal(await program.ask('7'), '7');
        assert.equal(await program.errorLine(), 'now n is 7');
      }),
    );

    it(
      'is constructed once beside <iostream>, and so is the one that the next save adds',
      inSession(async (session) => {
        const program = await startWithoutStreams(
          session,
          options.compiler,
          options.flags,
          '#include <string>\nextern "C" long value(long n) { return n + std::string(n < 0 ? 40 : 0, 120).size(); }\n',
        );
        session.edit(
          'unit.cc',
          '#include <string>',
          `#include <string>
#include <iostream>
struct Log { const char *name; long uses = 0; Log(const char *text) : name(text) { std::cerr << "open " << name << std::endl; } };
static Log log("log");`,
        );
        session.edit('unit.cc', 'return n', 'std::cerr << log.name << ++log.uses << std::endl; return n');
        await session.patch('unit.cc');
        assert.equal(await program.ask('6'), '6');
        assert.deepEqual([await program.errorLine(), await program.errorLine()], ['open log', 'log1']);
        session.edit('unit.cc', '<< std::endl; return n', '<< "!" << std::endl; return n');
        assert.deepEqual((await session.patch('unit.cc')).warnings, []);
        assert.equal(await program.ask('7'), '7');
        assert.equal(await program.errorLine(), 'log2!');
        await session.patch('unit.cc', 'unchanged');
      }),
    );

    it(
      'is constructed once, and destroyed when the program ends',
      inSession(async (session) => {
        const unit = await Unit.start(session, `#include <cstdio>\n#include <string>\n${plain}\n`, options);
        await unit.editAndPatch(
          plain,
          `struct Log {
             std::string text; long uses = 0;
             Log(const char *t) : text(t) { fprintf(stderr, "open %s\\n", text.c_str()); }
             ~Log() { fprintf(stderr, "close %s %ld\\n", text.c_str(), uses); }
           };
           static Log first(std::string(30, 'a').c_str());
           Log second("second");
           long value(long n) { return n + first.text.size() + ++second.uses; }`,
        );
        assert.equal(await unit.program.errorLine(), `open ${'a'.repeat(30)}`);
        assert.equal(await unit.program.errorLine(), 'open second');
        assert.equal(await unit.value(1), 32);
        const { warnings } = await unit.editAndPatch('return n + first', 'return n * 100 + first');
        assert.deepEqual(warnings, []);
        assert.equal(await unit.value(1), 132);
        unit.program.endInput();
        assert.equal(await unit.program.errorLine(), 'close second 2');
        assert.equal(await unit.program.errorLine(), `close ${'a'.repeat(30)} 0`);
      }),
    );

    it(
      'is constructed though nothing that changed uses it, and registers itself with what exists',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `struct Plugin;
           Plugin *all;
           struct Plugin { long number; Plugin *next; Plugin(long n) : number(n), next(all) { all = this; asm volatile(""); } };
           long value(long n) { for (Plugin *p = all; p; p = p->next) n += p->number; return n; }
           `,
          options,
        );
        assert.equal(await unit.value(1), 1);
        await unit.editAndPatch('long value', 'static Plugin ten(10);\nlong value');
        assert.equal(await unit.value(1), 11);
        await unit.editAndPatch('long value', ' long value', 'unchanged');
        assert.equal(await unit.value(1), 11);
      }),
    );

    it(
      'is refused by name where its code would initialise what exists a second time',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <string>
           long opened;
           struct Log { std::string text; Log(const char *t) : text(t) { opened++; } };
           static Log first("first");
           long value(long n) { return n * 1000 + opened * 10 + first.text.size(); }`,
          options,
        );
        assert.equal(await unit.value(1), 1015);
        const edited =
          'static Log second("second");\n           long value(long n) { return second.text.size() +';
        if (text === 'clang++ -O0') {
          // clang has a function of its own for each object there.
          await unit.editAndPatch('long value(long n) { return', edited);
          assert.equal(await unit.value(1), 1031);
          return;
        }
        const result = await unit.editAndBeRefused(
          'long value(long n) { return',
          edited,
          'needs-constructor',
        );
        assert.match(result.refusals[0]!.message, /second/);
        assert.equal(result.refusals[0]!.line, 5);
      }),
    );

    it(
      'comes beside <iostream>, whose own object may be constructed again',
      inSession(async (session) => {
        const unit = await Unit.start(session, `#include <iostream>\n#include <string>\n${plain}\n`, options);
        await unit.editAndPatch(
          plain,
          `static std::string prefix(40, 'p');
           long value(long n) { std::cerr << prefix.size() + n << std::endl; return n + prefix.size(); }`,
        );
        assert.equal(await unit.value(1), 41);
        assert.equal(await unit.program.errorLine(), '41');
      }),
    );

    it(
      'refuses the save when its code throws: the process goes on with the code it had',
      inSession(async (session) => {
        const unit = await Unit.start(session, `#include <stdexcept>\n${plain}\n`, options);
        const result = await unit.editAndBeRefused(
          plain,
          `struct Bad { long n; Bad(long n) : n(n) { if (n > 0) throw std::runtime_error("no"); } };
           static Bad bad(1);
           long value(long n) { return n + bad.n; }`,
          'constructor-failed',
        );
        assert.match(result.refusals[0]!.message, /bad.*std::runtime_error/);
      }),
    );

    it(
      'is not built by the old version of a function that the same save changes',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `__attribute__((noinline)) long limit(long n) { asm volatile(""); return n + 5; }
           long value(long n) { return limit(n); }`,
          options,
        );
        session.edit('unit.cc', 'n + 5', 'n + 6');
        const result = await unit.editAndBeRefused(
          'long value(long n) { return',
          'static long most = limit(1);\nlong value(long n) { return most +',
          'needs-constructor',
        );
        assert.match(result.refusals[0]!.message, /limit/);
      }),
    );

    it(
      'may be a function that the start or the end calls',
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `#include <cstdio>
           static long calls;
           __attribute__((constructor)) static void begin() { calls += 1; asm volatile(""); }
           long value(long n) { return n + calls; }`,
          options,
        );
        assert.equal(await unit.value(0), 1);
        await unit.editAndPatch(
          'long value',
          `__attribute__((constructor)) static void more() { calls += 10; asm volatile(""); }
           __attribute__((destructor)) static void last() { fprintf(stderr, "last %ld\\n", calls); }
           long value`,
        );
        assert.equal(await unit.value(0), 11);
        await unit.editAndPatch('calls += 1;', 'calls += 2;');
        await unit.editAndPatch('return n + calls', 'return n * 100 + calls');
        assert.equal(await unit.value(1), 111);
        unit.program.endInput();
        assert.equal(await unit.program.errorLine(), 'last 11');
      }),
    );
  });
