// A compiler of the test's process with preambles of its own, and what its objects have in them.
import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { COMPILER_LIMITS, createCompiler } from '../../extension/engine/compile/compiler';
import { createPreambles } from '../../extension/engine/compile/preambles';
import type { CompileEntry } from '../../extension/engine/context';
import { scan } from '../../extension/engine/fast/edit';
import { reduce } from '../../extension/engine/fast/reduce';
import { readUnit } from '../../extension/engine/save/compile';
import type { FreshUnit } from '../../extension/engine/save/unit';
import type { Session } from './session';
import { until } from './until';

const isTrue = (answer: boolean): boolean => answer;

/** A compiler of this process whose preambles lie in the session. */
export class Ahead {
  readonly messages: string[] = [];
  readonly directory: string;
  readonly preambles: ReturnType<typeof createPreambles>;
  readonly compiler: ReturnType<typeof createCompiler>;
  readonly entry: CompileEntry;

  constructor(
    readonly session: Session,
    readonly file: string,
    command: string[],
    { limit = 2 ** 31, directory = session.path('cache', 'hot-patch', 'preambles') } = {},
  ) {
    this.directory = directory;
    const log = (_level: string, message: string) => void this.messages.push(message);
    this.preambles = createPreambles({ directory, limit, log }, COMPILER_LIMITS);
    const temporaryDirectory = session.path(`tmp-${Math.random()}`);
    mkdirSync(temporaryDirectory);
    this.compiler = createCompiler({ temporaryDirectory, log }, COMPILER_LIMITS, this.preambles);
    this.entry = {
      source: session.path(file),
      spelledSource: file,
      directory: session.directory,
      arguments: [...command, '-c', file, '-o', `${file}.o`],
      database: session.path('compile_commands.json'),
    };
  }

  get text() {
    const language = this.file.endsWith('.c') ? 'c' : 'c++';
    const text = scan(this.session.read(this.file), language)!;
    const { directory } = this.session;
    const reduced = reduce(
      text,
      { kept: new Set([0]) },
      {
        language,
        spelled: this.file,
        directory,
        isThere: existsSync,
      },
    );
    assert.ok('text' in reduced, 'reason' in reduced ? reduced.reason : '');
    return reduced;
  }

  /** Asks for the preamble; ends when there is one, or when it is said why not. */
  async prepare(outcome = /compiled ahead/): Promise<void> {
    const { text, flags } = this.text;
    const before = this.messages.length;
    this.compiler.prepare(this.entry, text, flags);
    await until(() => this.messages.slice(before).some((message) => /preamble/.test(message)), isTrue);
    assert.match(this.messages.slice(before).join('\n'), outcome);
  }

  /** Is there a preamble for the unit as it is now? */
  isReady(): boolean {
    const { text, flags } = this.text;
    return this.preambles.find({ entry: this.entry, flags, text }) !== undefined;
  }

  async compile(): Promise<FreshUnit> {
    const { text, flags } = this.text;
    return readUnit(await this.compiler.compileUnit(this.entry, { text, extraFlags: flags }));
  }

  async compilePlain(): Promise<FreshUnit> {
    const { text, flags } = this.text;
    const plain = { ...text, preamble: '', rest: text.preamble + text.rest };
    return readUnit(await this.compiler.compileUnit(this.entry, { text: plain, extraFlags: flags }));
  }

  get kept(): string[] {
    return existsSync(this.directory) ? readdirSync(this.directory) : [];
  }

  keptFile(name: string): string {
    const [entry, ...others] = this.kept;
    assert.equal(others.length, 0);
    return join(this.directory, entry!, name);
  }
}

/** Everything of an object that the engine reads: code, references, data, lines, places, types. */
export function facts({ object, places, variables, statics, writtenIn, producer }: FreshUnit): unknown {
  const { elf } = object;
  const target = (index: number): string => {
    const symbol = object.symbols[index]!;
    return symbol.name || (elf.sections[symbol.section]?.name ?? '');
  };
  const bytes = (section: number, from: number, to: number) =>
    elf.data(elf.sections[section]!).subarray(from, to);
  const own = (text: string): string => text.replace(/^_GLOBAL__sub_I_.*/, 'initialiser');
  return {
    file: object.fileName,
    producer: producer(),
    functions: object.functions.map((fn) => ({
      name: own(fn.symbol.name),
      section: own(fn.section.name),
      binding: fn.symbol.binding,
      code: object.code(fn).toString('hex'),
      relocations: object
        .relocationsIn(fn.section, fn.offset, fn.offset + fn.size)
        .map(({ offset, type, symbol, addend }) => [offset, type, target(symbol), addend]),
      writtenIn: writtenIn(fn),
    })),
    data: elf.sections
      .filter(({ name }) => /^\.(data|rodata|tdata|init_array)/.test(name))
      .map(({ name, index, size }) => [name, bytes(index, 0, size).toString('hex')]),
    bss: elf.sections.filter(({ name }) => /^\.t?bss/.test(name)).map(({ name, size }) => [name, size]),
    // clang leaves declarations of the preamble out that nobody uses.
    places: [...places()].filter(([, { address }]) => address !== undefined).sort(),
    variables: [...variables()].sort(),
    statics: [...statics()],
  };
}

const small =
  '#include "first.h"\n#include <second.h>\n#if __has_include(<third.h>)\n#endif\nlong value(long n) { return n + FIRST + SECOND; }\n';

export async function prepared(
  session: Session,
  options: ConstructorParameters<typeof Ahead>[3] = {},
): Promise<Ahead> {
  session.write('unit.cc', small.replace(/#if[^]*#endif\n/, ''));
  session.write('b/first.h', '#include "inner.h"\n#if __has_include(<third.h>)\n#endif\n#define FIRST 1\n');
  session.write('b/inner.h', '');
  session.write('c/second.h', '#define SECOND 2\n');
  mkdirSync(session.path('a'), { recursive: true });
  age(session, 'unit.cc', 'b/first.h', 'b/inner.h', 'c/second.h');
  const ahead = new Ahead(session, 'unit.cc', ['g++', '-O0', '-g', '-Ia', '-Ib', '-Ic', '-Inone'], options);
  await ahead.prepare();
  assert.ok(ahead.isReady());
  return ahead;
}

/** As files are that were written long ago. */
export function age(session: Session, ...files: string[]): void {
  const before = new Date(Date.now() - 60_000);
  for (const file of files) utimesSync(session.path(file), before, before);
}
