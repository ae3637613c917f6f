// The text that gcc and clang print, as diagnostics with places. Text and not -fdiagnostics-format=json: every
// version prints it, and it passes unharmed through wrappers and launchers. Pure; source lines are read through
// what is passed in.
import { resolve } from 'node:path';
import type { CompilerDiagnostic } from '../model/result';

/** A line of a source file, 1-based; undefined when it cannot be read. */
export type ReadLine = (file: string, line: number) => string | undefined;

/** `file:line[:column]: severity: message`. The assembler says `Error` and gives no column. */
const HEADER =
  /^(.+?):(\d+)(?::(\d+))?: (fatal error|error|warning|note|sorry, unimplemented|internal compiler error|Error|Warning): (.*)$/;
/** `cc1plus: error: …`: no place, so it is about the command. */
const DRIVER = /^\S*?(?:cc1\w*|gcc|g\+\+|cc|c\+\+|clang|clang\+\+|as|ld)[\w.+-]*: (fatal error|error): (.*)$/;
const OPTION = / \[(-[^\]]+)\]$/;

function severityOf(word: string): CompilerDiagnostic['severity'] {
  if (/^warning$/i.test(word)) return 'warning';
  return word === 'note' ? 'note' : 'error';
}

/** Message and the option that controls it: `… [-Wunused-variable]`, `[-Werror=…]`, clang's `[-Werror,-Wx]`. */
function splitOption(text: string): { message: string; option?: string } {
  const match = OPTION.exec(text);
  const name = match?.[1]
    ?.split(',')
    .at(-1)
    ?.replace(/^-Werror=/, '-W');
  return match && name ? { message: text.slice(0, match.index), option: name } : { message: text };
}

/** Diagnostics in compiler output, in its order.
 * @param directory where the command ran; relative file names are relative to it.
 * @param source blamed for what has no place. Columns are 1-based UTF-16 units of the source line, `endColumn` is
 * the first behind the token. */
export function parseDiagnostics(
  output: string,
  directory: string,
  source: string,
  readLine: ReadLine,
): CompilerDiagnostic[] {
  const diagnostics: CompilerDiagnostic[] = [];
  const lines = output.split(/\r?\n/);
  lines.forEach((text, index) => {
    const driver = DRIVER.exec(text);
    if (driver) {
      const message = driver[2] ?? '';
      diagnostics.push({ severity: 'error', message, file: source, line: 1, column: 1 });
      return;
    }
    const header = HEADER.exec(text);
    if (!header) return;
    const [, name = '', lineText = '', columnText, severity = '', rest = ''] = header;
    const file = resolve(directory, name);
    const line = Math.max(1, Number(lineText));
    const reported = Math.max(1, Number(columnText ?? 1));
    const shown = columnText === undefined ? undefined : tokenShown(lines, index + 1);
    const original = shown && readLine(file, line);
    const token =
      shown && original !== undefined
        ? tokenInSource(shown, original)
        : { column: reported, endColumn: undefined };
    diagnostics.push({
      severity: severityOf(severity),
      ...splitOption(rest),
      file,
      line,
      column: token.column,
      ...(token.endColumn !== undefined && { endLine: line, endColumn: token.endColumn }),
    });
  });
  return diagnostics;
}

/** A source line as the compiler printed it, and the offsets in it that `^~~~` marks. */
interface ShownToken {
  text: string;
  start: number;
  end: number;
}

/** The excerpt below a diagnostic: `   12 |   code` and `      |   ^~~~` (gcc from 9, clang from 17), or the two
 * lines without the margin. */
function tokenShown(lines: readonly string[], from: number): ShownToken | undefined {
  const code = lines[from];
  const marks = lines[from + 1];
  if (code === undefined || marks === undefined || HEADER.test(code)) return undefined;
  const margin = /^ *\d+ \| ?/.exec(code)?.[0].length ?? 0;
  if (margin > 0 ? !/^ *\|[ ~^]*\^/.test(marks) : !/^[ ~^]*\^[ ~^]*$/.test(marks)) return undefined;
  const start = marks.indexOf('^');
  const tail = /^\^~*/.exec(marks.slice(start))?.[0].length ?? 1;
  return { text: code.slice(margin), start: start - margin, end: start - margin + tail };
}

/** Columns in the source of what was marked in the printed line. Compilers count columns in bytes or in cells and
 * print tabs as one or as up to eight blanks; the printed line itself shows which. */
function tokenInSource(shown: ShownToken, source: string): { column: number; endColumn: number | undefined } {
  const firstCode = (text: string): number => text.length - text.trimStart().length;
  for (const tabStop of [8, 1]) {
    const { cells, offsets } = expandTabs(source, tabStop);
    // Old versions of gcc indent the excerpt by one blank.
    for (const indent of [0, 1]) {
      if (' '.repeat(indent) + cells.trimEnd() !== shown.text.trimEnd()) continue;
      const at = (cell: number): number => offsets[cell - indent] ?? source.length;
      return { column: at(shown.start) + 1, endColumn: at(shown.end) + 1 };
    }
  }
  // The file is not what was compiled, or is printed abridged: at least the distance to its first code is right.
  const column = firstCode(source) + shown.start - firstCode(shown.text) + 1;
  return { column: Math.max(1, column), endColumn: undefined };
}

/** A line with tabs as blanks, and for each cell the offset of its character. */
function expandTabs(line: string, tabStop: number): { cells: string; offsets: number[] } {
  let cells = '';
  const offsets: number[] = [];
  let offset = 0;
  for (const character of line) {
    const width = character === '\t' ? tabStop - (cells.length % tabStop) : 1;
    cells += character === '\t' ? ' '.repeat(width) : character;
    for (let i = 0; i < width; i++) offsets.push(offset);
    offset += character.length;
  }
  offsets.push(line.length);
  return { cells, offsets };
}
