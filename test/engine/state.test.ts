// The promise that matters most: a patched function works on the state of the running process. One program with
// every kind of state, in C++ and C, by each compiler, unoptimised and optimised, PIE and not.
import { strict as assert } from 'node:assert';
import { readMemory } from '../support/memory';
import { inSession, type Session } from '../support/session';

interface Variant {
  language: 'C++' | 'C';
  compiler: string;
  source: string;
  main: string;
}

const variants: Variant[] = [
  { language: 'C++', compiler: 'g++', source: 'state.cc', main: 'main.cc' },
  { language: 'C', compiler: 'gcc', source: 'state.c', main: 'main.c' },
  { language: 'C++', compiler: 'clang++', source: 'state.cc', main: 'main.cc' },
  { language: 'C', compiler: 'clang', source: 'state.c', main: 'main.c' },
];
const modes = {
  PIE: { compile: ['-fPIE'], link: ['-pie'] },
  'non-PIE': { compile: ['-fno-pie'], link: ['-no-pie'] },
};

/** What step() must print, and the state behind it: the model the program is held against. */
class Expected {
  private shared = 0;
  private handled = 0;
  private readonly thread = { main: 0, other: 0 };
  edited = false;

  line(thread: 'main' | 'other', n: number): string {
    const change = this.edited ? 10 * n : n;
    this.shared += change;
    this.thread[thread] += change;
    this.handled += n === 3 && this.edited ? 1000 : n < 6 ? 2 ** n : 0;
    const names = ['zero', 'one', 'two', this.edited ? 'drei' : 'three', 'four', 'five'];
    const [version, limit] = this.edited ? ['two', 'over the limit'] : ['one', 'too large'];
    return (
      `version ${version}: ${names[n] ?? 'many'} global ${1000 + this.shared} static ${2000 + this.shared} ` +
      `local ${3000 + this.shared} thread ${4000 + this.thread[thread]} hidden ${5000 + this.shared} ` +
      `handled ${this.handled} scaled ${n * (this.edited ? 2.5 : 1.25)} caught ${n > 7 ? `${limit}: ${n}` : 'nothing'}`
    );
  }
}

function edit(session: Session, source: string): string {
  const original = session.edit(source, 'const int change = n;', 'const int change = 10 * n;');
  session.edit(source, 'version one', 'version two');
  session.edit(source, '"three"; count(8)', '"drei"; count(1000)');
  session.edit(source, 'n * 1.25', 'n * 2.5');
  session.edit(source, 'too large', 'over the limit');
  return original;
}

async function keepsAllState(
  session: Session,
  variant: Variant,
  optimisation: string,
  mode: keyof typeof modes,
) {
  const { source, main, compiler } = variant;
  session.copySample('state');
  await session.build({
    compiler,
    sources: [main, source],
    flags: [optimisation, '-g', ...modes[mode].compile],
    linkFlags: [...modes[mode].link, '-pthread'],
  });
  const program = await session.start();
  const expected = new Expected();
  const steps = async () => {
    for (const n of [3, 5, 9, 0]) {
      for (const thread of ['main', 'other'] as const) {
        assert.equal(await program.ask(`${thread} ${n}`), expected.line(thread, n));
      }
    }
  };
  await steps();

  const original = edit(session, source);
  const { processes } = await session.patch(source);
  assert.deepEqual(
    processes.map(({ pid }) => pid),
    [program.pid],
  );
  expected.edited = true;
  await steps();

  session.write(source, original);
  await session.patch(source, 'reverted');
  for (const { trampoline } of processes[0]!.functions) {
    const length = trampoline.bytesBefore.length / 2;
    assert.equal(readMemory(program.pid, trampoline.address, length), trampoline.bytesBefore);
  }
  expected.edited = false;
  await steps();
}

for (const variant of variants) {
  describe(`a ${variant.language} program built with ${variant.compiler} keeps all its state`, () => {
    for (const mode of Object.keys(modes) as (keyof typeof modes)[]) {
      for (const optimisation of ['-O0', '-O2']) {
        it(
          `${optimisation} ${mode}: through an edit of a function that uses it, and back`,
          inSession((session) => keepsAllState(session, variant, optimisation, mode)),
        );
      }
    }
  });
}
