// Generates extension/engine/model/error_table.ts from native/include/hot_fix_errors.def, so that the runtime
// and the engine share one table of error codes. `--check` only says whether the generated file is current.
import { readFileSync, writeFileSync } from 'node:fs';

const source = new URL('../native/include/hot_fix_errors.def', import.meta.url);
const target = new URL('../extension/engine/model/error_table.ts', import.meta.url);

const row =
  /^HOT_FIX_ERROR\(\w+, "([^"]*)", (refused|failed|environment|warning), ([0-4]), (problems|compiler|status), "((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)$/;
const quote = (text) => `'${text.replace(/\\"/g, '"').replace(/'/g, "\\'")}'`;
const rows = readFileSync(source, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('HOT_FIX_ERROR('))
  .map((line) => {
    const match = row.exec(line);
    if (!match) throw new Error(`unreadable row: ${line}`);
    const [, code, kind, exit, shown, title, hint] = match;
    return { code, kind, exit, shown, title, hint };
  });

const text = `// Generated from native/include/hot_fix_errors.def by scripts/generate-errors.mjs. Do not edit.
// Every failure a user can meet: its code (also the anchor in TROUBLESHOOTING.md), title and what to do.
/* prettier-ignore */
export const ERROR_TABLE = {
${rows.map((r) => `  '${r.code}': { kind: '${r.kind}', exit: ${r.exit}, shown: '${r.shown}', title: ${quote(r.title)}, hint: ${quote(r.hint)} },`).join('\n')}
} as const;

export type ErrorCode = keyof typeof ERROR_TABLE;
`;

if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('error_table.ts is not current: run node scripts/generate-errors.mjs');
    process.exit(1);
  }
} else {
  writeFileSync(target, text);
}
