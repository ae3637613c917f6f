// The functions of texts that are compared with what is in the editor: of the versions that run. They are asked for whenever
// anything is drawn, and all of those that are asked for are kept, however many versions of one file run. Knows no VS Code.
import type { SourceFunction } from '../state/source_function';

/** Texts of a file that are kept though nobody asks for them: one of them may return. */
const KEPT = 8;
/** Milliseconds after which a text counts as one that nobody asks for. */
const FORGOTTEN_MS = 60_000;

export interface EarlierTexts {
  /** undefined at first, and `parsed` when they are known. */
  functionsOf(file: string, text: string): readonly SourceFunction[] | undefined;
  forget(file: string): void;
}

interface EarlierText {
  readonly text: string;
  functions: readonly SourceFunction[] | undefined;
  asked: number;
}

export function keepEarlierTexts(
  parse: (file: string, text: string) => Promise<readonly SourceFunction[]>,
  parsed: () => void,
): EarlierTexts {
  /** Of each file, the newest first. */
  const earlier = new Map<string, readonly EarlierText[]>();
  return {
    functionsOf(file, text) {
      const now = Date.now();
      const known = earlier.get(file) ?? [];
      const found = known.find((one) => one.text === text);
      if (found) {
        found.asked = now;
        return found.functions;
      }
      const entry: EarlierText = { text, functions: undefined, asked: now };
      const kept = known.filter(({ asked }, at) => at < KEPT - 1 || now - asked < FORGOTTEN_MS);
      earlier.set(file, [entry, ...kept]);
      void parse(file, text).then((functions) => {
        entry.functions = functions;
        parsed();
      });
      return undefined;
    },
    forget: (file) => void earlier.delete(file),
  };
}
