// Edits every plain function of a unit of a running program, one save after the other, in code that nobody wrote for
// this. The edits change nothing that the program does: it must answer as it did, and the undo must bring all back.
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { Engine } from '../../extension/engine/engine';
import type { PatchResult } from '../../extension/engine/model/result';
import { scan } from '../../extension/engine/fast/edit';

/** What is put at the begin of a body: code alone; state of its own; a constant with an address in it. */
const EDITS = [
  (n: number) => ` { volatile int hot_patch_${n} = ${n}; (void)hot_patch_${n}; }`,
  (n: number) => ` { static volatile int hot_patch_${n}; hot_patch_${n}++; }`,
  (n: number) => ` { static const char *volatile hot_patch_${n} = "edit ${n}"; (void)*hot_patch_${n}; }`,
];

/** After so many edits the file is put back as it was. */
const TOGETHER = 24;

/** What came of the saves. */
export interface Edited {
  /** Functions whose edit ran. */
  patched: number;
  /** Declarations of those that the program has no code of. */
  unchanged: string[];
  /** Declarations of those whose edit was refused, with the reason. */
  refused: string[];
  /** By outcome of first light, `none` among them: number of saves. */
  firstLight: Map<string, number>;
}

/** @param isRight fails when the program does not do what it did before the first edit */
export async function editEveryFunction(
  engine: Engine,
  pid: number,
  file: string,
  isRight: () => Promise<void>,
): Promise<Edited> {
  const original = readFileSync(file, 'utf8');
  const functions = scan(original, extname(file) === '.c' ? 'c' : 'c++')?.functions ?? [];
  const edited: Edited = { patched: 0, unchanged: [], refused: [], firstLight: new Map() };
  const inText = new Map<number, string>();
  const save = async (): Promise<PatchResult> => {
    let text = '';
    let from = 0;
    for (const [index, { body }] of functions.entries()) {
      const edit = inText.get(index);
      if (edit === undefined) continue;
      text += original.slice(from, body + 1) + edit;
      from = body + 1;
    }
    writeFileSync(file, text + original.slice(from));
    const result = await engine.patch({
      files: [file],
      target: { kind: 'pid', pids: [pid] },
      firstLight: true,
    });
    for (const { name, verified, verifiedFromMemory } of result.processes.flatMap((one) => one.functions))
      assert.ok(verified && verifiedFromMemory, `${name} is not verified`);
    await isRight();
    return result;
  };
  try {
    for (const [index, { start, body }] of functions.entries()) {
      inText.set(index, EDITS[index % EDITS.length]!(index));
      const result = await save();
      const light = result.firstLight?.outcome ?? 'none';
      edited.firstLight.set(light, (edited.firstLight.get(light) ?? 0) + 1);
      if (result.outcome === 'patched') {
        assert.ok(result.changed.length > 0);
        edited.patched++;
      } else {
        const declaration = original.slice(start, body).replace(/\s+/g, ' ').trim();
        const why = [...result.refusals, ...result.diagnostics].map(({ message }) => message).join('; ');
        if (result.outcome === 'unchanged') edited.unchanged.push(declaration);
        else edited.refused.push(`${declaration}: ${result.outcome} ${why}`);
        inText.delete(index);
      }
      if (inText.size < TOGETHER && index < functions.length - 1) continue;
      const wereTogether = inText.size;
      inText.clear();
      const back = await save();
      assert.equal(back.outcome, wereTogether > 0 ? 'reverted' : 'unchanged', JSON.stringify(back.refusals));
      const { functions: known } = await engine.status(pid, { refresh: true });
      const left = known.filter(({ version }) => version !== 0).map(({ name }) => name);
      assert.deepEqual(left, [], 'the undo takes all of them back');
    }
  } finally {
    writeFileSync(file, original);
  }
  return edited;
}
