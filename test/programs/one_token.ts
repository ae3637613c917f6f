// Edits one token of a unit of a running program after the other, and compares what each save redirects with what the
// compiler itself makes of the two texts: nothing else may be redirected, and nothing that differs be left in silence.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { Engine } from '../../extension/engine/engine';
import { scan } from '../../extension/engine/fast/edit';
import { baseName, compiledFunctions, type Functions, type UnitCommand } from './assembly';
import type { SourceTree } from './real_program';

/** Another token that gives a valid program nearly always. */
const OTHER: Record<string, string> = {
  '==': '!=',
  '!=': '==',
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '&&': '||',
  '||': '&&',
};

/** What came of the saves. */
export interface Compared {
  /** Edits whose outcome was compared. */
  edits: number;
  /** Edits that change no code. */
  withoutEffect: number;
  /** Functions that were compared, over all edits. */
  functions: number;
  /** Functions that were redirected, over all edits. */
  redirected: number;
  refused: string[];
  wrong: string[];
}

/** Places in the bodies of a text's functions, and what to put there instead of the token that is there. */
function tokens(text: string, file: string): { at: number; from: string; to: string }[] {
  const found: { at: number; from: string; to: string }[] = [];
  for (const { body, end } of scan(text, extname(file) === '.c' ? 'c' : 'c++')?.functions ?? []) {
    const pattern =
      /\/\*[^]*?\*\/|\/\/.*|^[ \t]*#(?:.*\\\n)*.*|^[ \t]*(?:case|static_assert)\b.*|'(?:[^'\\]|\\.)*'|"(?:[^"\\\n]|\\.)*"|->|<<=?|>>=?|[=!<>]=|&&|\|\||[<>]|[\w.]+/gm;
    for (const { 0: from, index } of text.slice(body, end).matchAll(pattern)) {
      const to = /^\d+$/.test(from)
        ? String(Number(from) + 1)
        : /^"[^%\\]{2,}"$/.test(from)
          ? `"${from.slice(1, -1)}!"`
          : OTHER[from];
      if (to !== undefined) found.push({ at: body + index, from, to });
    }
  }
  return found;
}

/** A function that the new text has no code of is in its callers, which differ, or nobody calls it any more. */
const differing = (before: Functions, after: Functions): Set<string> =>
  new Set(
    [...before].filter(([name, code]) => after.has(name) && after.get(name) !== code).map(([name]) => name),
  );

/** How many edits of each unit, spread evenly over it. */
const EDITS = 12;

/** Edits units of a program that waits for somebody to talk to it: what is edited must not run while it waits. */
export async function assertExactlyRedirected(
  engine: Engine,
  pid: number,
  { tree, database }: { tree: SourceTree; database: string },
  units: readonly string[],
  progress: (text: string) => void,
): Promise<void> {
  const commands = JSON.parse(readFileSync(database, 'utf8')) as UnitCommand[];
  const wrong: string[] = [];
  for (const unit of units) {
    const file = tree.toEdit(unit);
    const command = commands.find((one) => resolve(one.directory, one.file) === file);
    assert.ok(command, `${database} has no command of ${unit}`);
    const compared = await editOneToken(engine, pid, command);
    const { edits, withoutEffect, functions, redirected, refused } = compared;
    progress(
      `${unit}: ${edits} edits, ${withoutEffect} without effect, ${functions} functions compared, ` +
        `${redirected} redirected, ${refused.length} refused, ${compared.wrong.length} wrong`,
    );
    for (const text of [...refused, ...compared.wrong]) progress(text);
    wrong.push(...compared.wrong);
    assert.ok(edits > EDITS / 2, `only ${edits} edits`);
  }
  assert.deepEqual(wrong, []);
}

async function editOneToken(engine: Engine, pid: number, command: UnitCommand): Promise<Compared> {
  const file = resolve(command.directory, command.file);
  const original = readFileSync(file, 'utf8');
  const before = await compiledFunctions(command);
  assert.ok(before, `${file} does not compile`);
  const places = tokens(original, file);
  const compared: Compared = {
    edits: 0,
    withoutEffect: 0,
    functions: 0,
    redirected: 0,
    refused: [],
    wrong: [],
  };
  const save = () => engine.patch({ files: [file], target: { kind: 'pid', pids: [pid] }, firstLight: true });
  const redirected = async () => {
    const { functions } = await engine.status(pid, { refresh: true });
    return new Set(functions.filter(({ version }) => version !== 0).map(({ symbol }) => baseName(symbol)));
  };
  try {
    const step = Math.max(1, Math.floor(places.length / EDITS));
    for (let i = Math.floor(step / 2); i < places.length && compared.edits < EDITS; i += step) {
      const { at, from, to } = places[i]!;
      writeFileSync(file, original.slice(0, at) + to + original.slice(at + from.length));
      const after = await compiledFunctions(command);
      if (!after) continue;
      const line = original.slice(0, at).split('\n').length;
      const edit = `${file}:${line}: ${from} to ${to}`;
      const result = await save();
      compared.edits++;
      if (result.outcome === 'refused' || result.outcome === 'failed') {
        compared.refused.push(
          `${edit}: ${result.refusals.map(({ code, message }) => `${code}: ${message}`).join('; ')}`,
        );
        continue;
      }
      const truth = differing(before, after);
      const live = await redirected();
      const named = new Set(result.changed.map(({ symbol }) => baseName(symbol)));
      for (const problem of result.warnings) if (problem.symbol) named.add(baseName(problem.symbol));
      const tooMuch = [...live].filter((name) => !truth.has(name));
      const tooLittle = [...truth].filter((name) => !live.has(name) && !named.has(name));
      if (tooMuch.length > 0)
        compared.wrong.push(`${edit}: redirected without a difference: ${tooMuch.join(', ')}`);
      if (tooLittle.length > 0)
        compared.wrong.push(`${edit}: differs and is not named: ${tooLittle.join(', ')}`);
      if (truth.size === 0) compared.withoutEffect++;
      compared.functions += before.size;
      compared.redirected += live.size;
    }
  } finally {
    writeFileSync(file, original);
  }
  const back = await save();
  const left = [...(await redirected())];
  assert.deepEqual(left, [], `the undo takes all of them back: ${JSON.stringify(back)}`);
  return compared;
}
