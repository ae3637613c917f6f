// A unit whose saves `hot-patch watch` patches, with what it says of first light.
import { strict as assert } from 'node:assert';
import { chmodSync } from 'node:fs';
import type { PatchResult } from '../../extension/engine/model/result';
import { cli } from './paths';
import type { Program } from './program';
import { type Session, Unit, type UnitOptions } from './session';
import { until } from './until';

export const O0 = ['-O0', '-g'];

/** A unit whose saves are watched, of which one was made: the text of the running code is known from then on. */
export class Watched {
  private constructor(
    readonly session: Session,
    readonly unit: Unit,
    readonly watch: Program,
  ) {}

  static async start(
    session: Session,
    source: string,
    {
      watch: words = ['--json'],
      preambles = false,
      ...options
    }: UnitOptions & { watch?: string[]; preambles?: boolean } = {},
  ): Promise<Watched> {
    // When they are there is a matter of time, and so is what is compiled over them.
    if (!preambles) session.write('cache/hot-patch/preambles', 'no directory');
    const unit = await Unit.start(session, source, { flags: O0, ...options });
    const args = [cli, 'watch', '--verbose', ...words, session.directory];
    const watched = new Watched(session, unit, await session.startCommand(process.execPath, args));
    await watched.watch.errorLine(/^watching/);
    if (words.includes('--json')) {
      assert.equal((await watched.save(source, `${source}\n`)).outcome, 'unchanged');
    }
    return watched;
  }

  /** Edits the unit and saves it. */
  async save(from: string | RegExp, to: string, file = this.unit.file): Promise<PatchResult> {
    this.session.edit(file, from, to);
    return this.result();
  }

  async result(): Promise<PatchResult> {
    return JSON.parse(await this.watch.line()) as PatchResult;
  }

  value(n: number): Promise<number> {
    return this.unit.value(n);
  }

  /** A save that was live ahead, with what came of it. */
  async light(from: string, to: string, outcome = 'confirmed'): Promise<PatchResult> {
    const result = await this.save(from, to);
    const shown = `${JSON.stringify(result, null, 1)}\n${this.watch.errorLines.join('\n')}`;
    assert.equal(result.firstLight?.outcome, outcome, shown);
    assert.ok(result.firstLight.live <= result.firstLight.exact);
    return result;
  }

  /** The same with a compiler of `wrap`, which is held up until it was looked at what is live. */
  async heldLight(
    from: string,
    to: string,
    check: () => Promise<void>,
    outcome = 'confirmed',
  ): Promise<PatchResult> {
    const hold = this.session.write('hold', '');
    const isLive = (line: string) => line.startsWith('live in');
    const saves = this.watch.errorLines.filter(isLive).length;
    this.session.edit(this.unit.file, from, to);
    const result = this.result();
    await until(
      () => this.watch.errorLines.filter(isLive).length,
      (times) => times > saves,
    );
    await check();
    await this.session.run('rm', [hold]);
    const told = await result;
    assert.equal(told.firstLight?.outcome, outcome, JSON.stringify(told, null, 1));
    await check();
    await this.isExact();
    return told;
  }

  /** A save of which no part was live ahead, for a reason. The whole may have been, over its preamble, which is compiled some
   * time after the first save. */
  async exact(from: string, to: string, reason: RegExp, file?: string): Promise<PatchResult> {
    const result = await this.save(from, to, file);
    assert.ok([undefined, 'confirmed'].includes(result.firstLight?.outcome), JSON.stringify(result, null, 1));
    await this.watch.errorLine(
      (line) => /no first light: |no part of it will do: /.test(line) && reason.test(line),
    );
    return result;
  }

  /** Nothing would be done by an exact save of the text as it is. */
  async isExact(): Promise<void> {
    await this.session.patch([this.unit.file, '--dry-run'], 'unchanged');
  }
}

/** A compiler that the test can hold up, or have fail, when it compiles the whole unit. */
export function wrap(session: Session, compiler = 'gcc'): string {
  const script = `#!/bin/sh
here=$(dirname "$0")
case " $* " in
  *" -w "*) ;;
  *" -ffunction-sections "*)
    while [ -e "$here/hold" ]; do sleep 0.05; done
    if [ -e "$here/fail" ]; then echo "unit.c:1:1: error: the disk is full" >&2; exit 1; fi ;;
esac
exec ${compiler} "$@"
`;
  const path = session.write(compiler, script);
  chmodSync(path, 0o755);
  return path;
}

export const inC = `
static long calls = 100;
static long twice(long n) { return 2 * n; }
long (*volatile operation)(long) = twice;
long other(long n) { calls++; return n + 1; }
long value(long n) {
  return operation(n) + other(n) + calls;
}
`;
export const inCplusplus = `
#include <string>
namespace { long calls = 100; }
struct Shape { virtual ~Shape() {} virtual long area(long n) const; };
long Shape::area(long n) const { return n; }
static long twice(long n) { std::string text("ab"); return text.size() * n; }
namespace { long other(long n) { calls++; return n + 1; } }
long value(long n) {
  Shape shape; const Shape *any = &shape;
  return twice(n) + other(n) + calls + any->area(0);
}
`;

export const compilers: { title: string; source: string; options: UnitOptions }[] = [
  { title: 'gcc', source: inC, options: { language: 'c', compiler: 'gcc' } },
  { title: 'g++', source: inCplusplus, options: { compiler: 'g++' } },
  { title: 'clang', source: inC, options: { language: 'c', compiler: 'clang' } },
  { title: 'clang++', source: inCplusplus, options: { compiler: 'clang++' } },
];
