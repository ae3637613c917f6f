// Edits that change the entries of a virtual table. Objects that exist use the table that the process has: such an edit is
// refused by name, never left out in silence.
import { strict as assert } from 'node:assert';
import { inSession, Unit } from '../support/session';

const builds = ['g++ -O0', 'g++ -O2', 'clang++ -O0', 'clang++ -O2'].map((text) => {
  const [compiler, ...flags] = text.split(' ');
  return { text, options: { compiler: compiler!, flags: ['-g', ...flags] } };
});

const shapes = `
struct Shape { virtual ~Shape() {} virtual long area(long n) { return n; } virtual long edges(long n) { return n + 1; } };
struct Square : Shape {
  long area(long n) override { return n * n; }
};
static Shape *shape;
long value(long n) {
  if (!shape) { shape = new Square; asm volatile("" : "+r"(shape)); }
  return shape->area(n) * 100 + shape->edges(n);
}
`;

for (const { text, options } of builds)
  describe(`A virtual table (${text})`, () => {
    it(
      'is not left as it is when an override is added: the save is refused',
      inSession(async (session) => {
        const unit = await Unit.start(session, shapes, options);
        assert.equal(await unit.value(3), 904);
        const { refusals } = await unit.editAndBeRefused(
          'long area(long n) override { return n * n; }',
          'long area(long n) override { return n * n; }\n  long edges(long) override { return 4; }',
          'layout-changed',
        );
        assert.match(refusals[0]!.message, /Square.*edges/);
      }),
    );

    it(
      'nor when one is removed',
      inSession(async (session) => {
        const unit = await Unit.start(session, shapes, options);
        assert.equal(await unit.value(3), 904);
        const { refusals } = await unit.editAndBeRefused(
          'long area(long n) override { return n * n; }',
          '',
          'layout-changed',
        );
        assert.match(refusals[0]!.message, /Square.*area/);
      }),
    );

    it(
      'nor when a virtual function is added behind the others',
      inSession(async (session) => {
        const unit = await Unit.start(session, shapes, options);
        assert.equal(await unit.value(3), 904);
        await unit.editAndBeRefused(
          'long area(long n) override { return n * n; }',
          'long area(long n) override { return n * n; }\n  virtual long corners(long) { return 4; }',
          'layout-changed',
        );
      }),
    );

    it(
      'takes edits of what its functions do, and new classes',
      inSession(async (session) => {
        const unit = await Unit.start(session, shapes, options);
        assert.equal(await unit.value(3), 904);
        await unit.editAndPatch('return n * n;', 'return n * n + 1;');
        assert.equal(await unit.value(3), 1004);
        session.edit(
          'unit.cc',
          'static Shape *shape;',
          'struct Line : Square { long edges(long) override { return 1; } };\nstatic Shape *shape;',
        );
        await unit.editAndPatch(
          'if (!shape)',
          'if (n == 9) { Shape *line = new Line; asm volatile("" : "+r"(line)); return line->edges(n); } if (!shape)',
        );
        assert.equal(await unit.value(9), 1);
        assert.equal(await unit.value(3), 1004);
      }),
    );
  });
