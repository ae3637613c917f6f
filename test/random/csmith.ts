// Cases whose programs are csmith's (Debian packages csmith and libcsmith-dev): pointers, unions, bit fields and deep
// expressions. What a program begins with is put back before each call, so that calls depend on nothing but the code;
// edits are of constants and operators in functions, which csmith's programs bear.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Texts } from '../support/live_program';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';
import { buildOf } from './cases';
import { Random } from './random';
import type { Case } from './run';

const FILE = 'unit.c';
const HEADERS = '/usr/include/csmith';
/** Of the text of a program that is neither empty nor takes seconds to compile. */
const [SHORTEST, LONGEST] = [6_000, 90_000];

/** Seconds that a call may take: most take none, some programs never end. */
const LONGEST_CALL = 2;

/** Does a version of a program end when it is called, in a full build of it? */
function ends(text: string): boolean {
  const directory = temporaryDirectory();
  try {
    writeFileSync(join(directory, FILE), `${text}\nint main(void) { turn(0); turn(1); return 0; }\n`);
    execFileSync('gcc', ['-O1', '-w', `-I${HEADERS}`, FILE, '-o', 'program'], { cwd: directory });
    const { status } = spawnSync('./program', { cwd: directory, timeout: 1000 * LONGEST_CALL });
    return status === 0;
  } finally {
    removeTemporaryDirectory(directory);
  }
}

function generate(seed: number): string {
  const directory = temporaryDirectory(); // it writes a file beside itself
  const options = ['--seed', String(seed), '--no-argc', '--no-jumps', '--max-block-depth', '3'];
  try {
    return execFileSync('csmith', options, { cwd: directory, encoding: 'utf8', maxBuffer: 64 << 20 });
  } finally {
    removeTemporaryDirectory(directory);
  }
}

/** Variables of the program that may be written, by the lines that define them. */
function variablesOf(text: string): string[] {
  return [...text.matchAll(/^static (.*?)\b(g_\d+)\b[^;(]* = /gm)].flatMap(([, type, name]) =>
    type!.slice(type!.lastIndexOf('*') + 1).includes('const') ? [] : [name!],
  );
}

/** Puts `turn` in the place of main(). */
function observed(text: string): string {
  const main = text.indexOf('int main (void)');
  const declared = text.slice(text.indexOf('{', main) + 1, text.indexOf('platform_main_begin', main));
  const body = text.slice(text.indexOf('func_1();', main), text.indexOf('platform_main_end', main));
  const places = variablesOf(text).map((name) => `{(void *)&${name}, sizeof ${name}}, `);
  return `${text.slice(0, main)}
#include <string.h>
static const struct { void *at; unsigned long size; } places[] = {${places.join('')}{0, 0}};
static unsigned char first_values[1 << 20];
static int is_begun;
long turn(long n)
{
  ${declared}
  unsigned char *value = first_values;
  for (int at = 0; places[at].at != 0; value += places[at++].size) {
    if (is_begun) memcpy(places[at].at, value, places[at].size);
    else memcpy(value, places[at].at, places[at].size);
  }
  is_begun = 1;
  crc32_context = 0xFFFFFFFFUL;
  crc32_gentab();
  ${body}return crc32_context ^ 0xFFFFFFFFUL ^ (n & 0);
}
`;
}

/** Where a constant or an operator of a function's statements stands; bounds of loops and indices are decimal. */
function placesOf(text: string): { at: number; length: number }[] {
  const end = text.indexOf('#include <string.h>');
  const found: { at: number; length: number }[] = [];
  for (const line of text.slice(0, end).matchAll(/^ {4}.*$/gm)) {
    if (/\bfor \(|\/\*|\bstatic\b/.test(line[0])) continue;
    for (const token of line[0].matchAll(
      /\b0x[0-9A-F]+(?=U?L{0,2}\b)|(?<=\bsafe_)(?:add|sub|mul)(?=_func_)|(?<= )[\^|&](?= )/g,
    ))
      found.push({ at: line.index + token.index, length: token[0].length });
  }
  return found;
}

/** Up to four places changed. */
function edited(text: string, random: Random): string {
  for (let left = 1 + random.below(4); left > 0; left--) {
    const places = placesOf(text);
    if (places.length === 0) return text;
    const { at, length } = random.pick(places);
    const old = text.slice(at, at + length);
    const next = old.startsWith('0x')
      ? `0x${random
          .below(random.pick([16, 256, 2 ** 31]))
          .toString(16)
          .toUpperCase()}`
      : random.pick(/\w/.test(old) ? ['add', 'sub', 'mul'] : ['^', '|', '&']);
    text = text.slice(0, at) + next + text.slice(at + length);
  }
  return text;
}

/** The case of a seed: a program, one to three edits in a row. */
export function csmithCase(seed: number): Case {
  const random = new Random(seed);
  let texts: string[];
  do {
    const program = generate(1 + random.below(2 ** 31));
    texts = program.length < SHORTEST || program.length > LONGEST ? [] : [observed(program)];
    for (let left = 1 + random.below(3); left > 0 && texts.length > 0; left--)
      texts.push(edited(texts.at(-1)!, random));
  } while (texts.length === 0 || !texts.every(ends));
  const build = buildOf(random, 'c');
  const versions: Texts[] = texts.map((text) => ({ [FILE]: text }));
  return {
    ...build,
    title: `csmith, ${build.title}`,
    flags: [...build.flags, `-I${HEADERS}`],
    units: [FILE],
    versions,
  };
}
