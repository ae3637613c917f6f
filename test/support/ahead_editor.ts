// A person who types and saves in a file whose program runs, for tests of what is compiled before the save is confirmed: the
// compiler of the whole unit, and that of its parts, can be held up and counted.
import { strict as assert } from 'node:assert';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine } from '../../extension/engine/create_engine';
import type { Engine } from '../../extension/engine/engine';
import type { AheadReport, PatchResult } from '../../extension/engine/model/result';
import { type Built, build, EngineWorld, type Observed, type ProgramPlan } from './live_program';
import { dist } from './paths';
import { until } from './until';

export const HEADER = 'static inline long scaled(long n) { return n * 10; }\n';
export const C = `#include "scale.h"
static long calls = 100;
static long step(long n) { calls++; return scaled(n) + 1; }
long value(long n) { return step(n) + calls; }
long other(long n) { return value(n) - 1; }
`;
export const CPLUSPLUS = `#include <string>
#include "scale.h"
namespace { long calls = 100; struct Shape { virtual long area(long n) const { return n; } }; }
static long step(long n) { calls++; return scaled(Shape().area(n)) + 1; }
extern "C" long value(long n) { return step(n) + calls; }
extern "C" long other(long n) { return value(n) - std::string("x").size(); }
`;

/** Holds the whole unit up as long as there is a file `hold`, and what is compiled of a text for first light as long as
 * there is `hold-parts`. Counts in `reduced` how often a part was compiled. */
const wrapper = (compiler: string) => `#!/bin/sh
here=$(dirname "$0")
case " $* " in
  *"-header "*) ;;
  *" -w "*) echo >> "$here/reduced"; while [ -e "$here/hold-parts" ]; do sleep 0.05; done ;;
  *" -ffunction-sections "*) while [ -e "$here/hold" ]; do sleep 0.05; done ;;
esac
exec ${compiler} "$@"
`;

export interface Case {
  title: string;
  file: string;
  text: string;
  compiler: string;
  flags: string[];
}
export const cases: Case[] = [
  { title: 'gcc -O0', file: 'unit.c', text: C, compiler: 'gcc', flags: ['-O0'] },
  { title: 'g++ -O2', file: 'unit.cc', text: CPLUSPLUS, compiler: 'g++', flags: ['-O2'] },
  { title: 'clang++ -O0', file: 'unit.cc', text: CPLUSPLUS, compiler: 'clang++', flags: ['-O0'] },
];

export class Editor {
  private constructor(
    readonly world: EngineWorld,
    private readonly kind: Case,
    private readonly built: Built,
    readonly live: Observed,
  ) {}

  static async open(kind: Case): Promise<Editor> {
    const world = new EngineWorld();
    const directory = world.newDirectory();
    const compiler = join(directory, kind.compiler);
    writeFileSync(compiler, wrapper(kind.compiler));
    chmodSync(compiler, 0o755);
    const plan: ProgramPlan = {
      compilers: kind.file.endsWith('.c') ? { c: compiler, cxx: 'g++' } : { c: 'gcc', cxx: compiler },
      flags: ['-g', ...kind.flags],
      module: 'executable',
      units: [{ file: kind.file }],
      observers: [{ name: 'value', returns: 'number' }],
    };
    const built = await build(directory, plan, { [kind.file]: kind.text, 'scale.h': HEADER });
    const editor = new Editor(world, kind, built, await world.startLive(built));
    // As a window looks at a file that is opened.
    const [report] = await world.engine.check([editor.path(kind.file)], editor.target);
    assert.equal(report?.verdict, 'ready', JSON.stringify(report));
    return editor;
  }

  path(name: string): string {
    return join(this.built.directory, name);
  }

  private get target() {
    return { kind: 'pid' as const, pids: [this.live.pid] };
  }

  type(text: string): Promise<AheadReport> {
    return this.world.engine.ahead({ file: this.path(this.kind.file), text, target: this.target });
  }

  /** @param whenLive while the whole unit is still being compiled */
  async save(text: string, whenLive: () => Promise<void>): Promise<PatchResult> {
    const hold = this.path('hold');
    writeFileSync(hold, '');
    let seen: Promise<void> | undefined;
    const file = this.path(this.kind.file);
    writeFileSync(file, text);
    const result = await this.world.engine.patch({
      files: [file],
      target: this.target,
      firstLight: true,
      onProgress: ({ live }) => {
        if (live) seen ??= whenLive().finally(() => rmSync(hold));
      },
    });
    await seen;
    return result;
  }

  /** Another process of the same program. */
  again(): Promise<Observed> {
    return this.world.startLive(this.built);
  }

  /** What another window does. */
  async elsewhere<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = createEngine({
      temporaryDirectory: this.world.newDirectory(),
      runtimeDirectory: join(dist, 'native', 'lib'),
    });
    try {
      return await work(engine);
    } finally {
      await engine.dispose();
    }
  }

  async value(n: number): Promise<number> {
    return parseInt(await this.live.observe('value', [n]));
  }

  /** The preambles that the next save can use were compiled. */
  async prepared(): Promise<void> {
    await until(
      () => this.world.preambles(),
      (count) => count > 0,
    );
  }

  compiledParts(): number {
    const path = this.path('reduced');
    return existsSync(path) ? readFileSync(path, 'utf8').length : 0;
  }
}

export const inEditor = (kind: Case, test: (editor: Editor) => Promise<void>) => async () => {
  const editor = await Editor.open(kind);
  try {
    await test(editor);
  } finally {
    await editor.world.dispose();
  }
};
