// Edits of what a language has besides plain functions, each seen to take effect in the running process.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

describe('an edit of a construct takes effect', () => {
  it(
    'of a virtual function of objects that exist already',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `struct Shape { virtual ~Shape() {} virtual long area() const = 0; };
         struct Square : Shape {
           long side; explicit Square(long s) : side(s) {}
           long area() const override { return side * side; }
         };
         struct Line : Shape { long area() const override { return 0; } };
         static Shape *shapes[2];
         long value(long n) {
           if (!shapes[0]) { shapes[0] = new Square(n); shapes[1] = new Line; }
           return shapes[n & 1]->area() + n;
         }`,
      );
      assert.equal(await unit.value(4), 20);
      await unit.editAndPatch('side * side;', '100 * side;');
      assert.equal(await unit.value(4), 404);
      assert.equal(await unit.value(5), 5);
    }),
  );

  it(
    'of a lambda that is stored in a std::function',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <functional>
         static std::function<long(long)> stored;
         long value(long n) {
           if (!stored) { long base = n; stored = [base](long m) { return base + m; }; }
           return stored(n);
         }`,
      );
      assert.equal(await unit.value(5), 10);
      await unit.editAndPatch('return base + m;', 'return base * 1000 + m;');
      assert.equal(await unit.value(7), 5007);
    }),
  );

  it(
    'of a template, in each of its instances',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <string>
         template <typename T> __attribute__((noinline)) long measure(const T &what) { return sizeof(T) + what.size(); }
         struct Fixed { char bytes[24]; long size() const { return 7; } };
         long value(long n) { return n == 0 ? measure(std::string(5, 'x')) : measure(Fixed{}); }`,
      );
      assert.deepEqual([await unit.value(0), await unit.value(1)], [37, 31]);
      const result = await unit.editAndPatch('sizeof(T) + what.size()', '1000 + what.size()');
      assert.deepEqual([await unit.value(0), await unit.value(1)], [1005, 1007]);
      assert.equal(result.processes[0]!.functions.length, 2);
    }),
  );

  it(
    'of a function through which an exception passes, and of those that throw and catch it',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <stdexcept>
         #include <string>
         struct Trace { long &log; ~Trace() { log = log * 10 + 1; } };
         __attribute__((noinline)) void thrower(long n) { if (n > 5) throw std::runtime_error(std::to_string(n)); }
         __attribute__((noinline)) void middle(long n, long &log) { Trace trace{log}; thrower(n); }
         long value(long n) {
           long log = 0;
           try { middle(n, log); } catch (const std::runtime_error &e) { return log * 1000 + std::stol(e.what()); }
           return log;
         }`,
      );
      assert.deepEqual([await unit.value(3), await unit.value(8)], [1, 1008]);
      await unit.editAndPatch('log * 10 + 1', 'log * 10 + 2');
      assert.deepEqual([await unit.value(3), await unit.value(8)], [2, 2008]);
      await unit.editAndPatch('n > 5', 'n > 2');
      assert.deepEqual([await unit.value(2), await unit.value(3)], [2, 2003]);
      await unit.editAndPatch('catch (const std::runtime_error &e)', 'catch (const std::exception &e)');
      assert.deepEqual([await unit.value(2), await unit.value(3)], [2, 2003]);
    }),
  );

  it(
    'of nothing but what is caught',
    inSession(async (session) => {
      const unit = await Unit.start(
        session,
        `#include <stdexcept>
         __attribute__((noinline)) void thrower(long n) { if (n > 5) throw std::logic_error("no"); if (n > 2) throw std::runtime_error("no"); }
         __attribute__((noinline)) long guarded(long n) {
           try { thrower(n); } catch (const std::logic_error &) { return 100; }
           return n;
         }
         long value(long n) {
           try { return guarded(n); } catch (...) { return 200; }
         }`,
      );
      const values = async () => [await unit.value(1), await unit.value(3), await unit.value(6)];
      assert.deepEqual(await values(), [1, 200, 100]);
      const { processes } = await unit.editAndPatch('std::logic_error &)', 'std::runtime_error &)');
      assert.deepEqual(
        processes[0]!.functions.map(({ name }) => name),
        ['guarded(long)'],
      );
      assert.deepEqual(await values(), [1, 100, 200]);
      await unit.editAndPatch('catch (const std::runtime_error &)', 'catch (...)');
      assert.deepEqual(await values(), [1, 100, 100]);
      await session.patch(unit.file, 'unchanged');
      await unit.editAndPatch(
        'catch (...) { return 100; }',
        'catch (const std::logic_error &) { return 100; }',
        'reverted',
      );
      assert.deepEqual(await values(), [1, 200, 100]);
    }),
  );

  it(
    'of a switch that is a jump table',
    inSession(async (session) => {
      const cases = Array.from(
        { length: 9 },
        (_, i) => `case ${i}: total += ${i * i + 1}; sum(n + ${i}); break;`,
      );
      const unit = await Unit.start(
        session,
        `static long total = 0;
         __attribute__((noinline)) static void sum(long n) { total += n & 1; }
         long value(long n) {
           total = 0;
           switch (n) { ${cases.join('\n')} default: return -1; }
           return total;
         }`,
      );
      assert.equal(await unit.value(4), 17);
      await unit.editAndPatch('total += 17;', 'total += 1700;');
      assert.deepEqual([await unit.value(4), await unit.value(5), await unit.value(77)], [1700, 26, -1]);
    }),
  );

  for (const optimisation of ['-O0', '-O2']) {
    it(
      `of an interpreter loop with computed goto (${optimisation})`,
      inSession(async (session) => {
        const unit = await Unit.start(
          session,
          `long value(long n) {
             static const void *const labels[] = {&&add, &&twice, &&negate, &&end};
             static const unsigned char code[] = {0, 1, 2, 0, 3};
             const unsigned char *at = code;
             long result = n;
             goto *labels[*at++];
           add: result += 5; goto *labels[*at++];
           twice: result *= 2; goto *labels[*at++];
           negate: result = -result; goto *labels[*at++];
           end: return result;
           }`,
          { language: 'c', flags: [optimisation, '-g'] },
        );
        assert.equal(await unit.value(10), -25);
        await unit.editAndPatch('result += 5;', 'result += 500;');
        assert.equal(await unit.value(10), -520);
      }),
    );
  }
});
