// A text that was edited in one body is not read again as a whole. What is then known of it must be what reading all of it
// says, whatever was typed. Pure.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { editedFunctions, scan, type ScannedText } from '../../extension/engine/fast/edit';
import { haveSameTokens } from '../../extension/engine/fast/tokens';
import { Random } from '../random/random';
import { samples } from '../support/paths';

/** Everything that a body may have in it which also means something outside of it. */
const ODD = `#include <stdio.h>
#define BRACE {
static int first(int a) { return a; } static int beside(void) { return 2; }
#if A
int in_branch(void) { if (1) { return '{'; } return 0; }
#else
int in_branch(void)
{
#ifdef B
  puts("}");
#else
  puts(R"x(})x");
#endif
  return 1; /* } */
}
#endif
namespace one { namespace { int local(void) { static int count; return ++count; } } }
extern "C" { int linked(void) { // {
  return 3; }
}
void writes(void) { asm(""); }
/* int none(void) { } */
struct point { int x; };
int skewed(void) {
#if A
  if (1) {
#endif
    first(1);
#if A
  }
#endif
  return 0;
}
int last(void) { return 'a' + "\\"{"[0]; }
`;

/** What is typed: also halves of what comes in pairs. */
const TYPED = [
  ...['', ' ', '\n', ';', 'x', '1', '+', '{', '}', '{}', '(', ')', '/*', '*/', '//', '"', "'", '\\', '\\\n'],
  ...['R"x(', ')x"', '#if 1\n', '\n#if A\n', '\n#else\n', '\n#endif\n', '\n#define B 1\n', 'asm("");'],
  ...['static int n;', 'return 0;', 'co_return 1;', '__COUNTER__', '}\nint more(void) {', 'namespace n { }'],
  ...['"}"', "'{'", 'u8"x"', '1e+', "1'0", '\r\n', '\t', 'é', '__FILE__ '],
];

function isEdited(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const gone = random.pick([0, 0, 1, 2, 5, 20]);
  return text.slice(0, at) + random.pick(TYPED) + text.slice(at + gone);
}

describe('what is known of a text that was edited', () => {
  const texts = [
    ['c++', ODD],
    ['c', ODD],
    ['c', readFileSync(join(samples, 'attach', 'kinds.c'), 'utf8')],
    ['c++', readFileSync(join(samples, 'service', 'src', 'shop.cc'), 'utf8')],
  ] as const;
  for (const [index, [language, text]] of texts.entries())
    it(`is what reading all of it says (${language}, text ${index + 1})`, () => {
      const random = new Random(index);
      const original = scan(text, language);
      assert.ok(original && original.functions.length > 2);
      let readOnlyInPart = 0;
      for (let round = 0; round < 2000; round++) {
        // One edit behind the other, now and then from the original on.
        let before: ScannedText = original;
        for (let more = 0; more < 3; more++) {
          const now = isEdited(random, before.text);
          const [known, all] = [scan(now, language, before), scan(now, language)];
          assert.deepEqual(known, all, JSON.stringify([before.text, now]));
          assert.deepEqual(
            haveSameTokens(
              before.text,
              now,
              before.functions.map(({ start }) => start),
            ),
            haveSameTokens(before.text, now),
            JSON.stringify([before.text, now]),
          );
          if (!known) break;
          if ((editedFunctions(before, known)?.size ?? 0) > 0) readOnlyInPart++;
          before = known;
        }
      }
      assert.ok(readOnlyInPart > 500, `only ${readOnlyInPart} edits were of bodies`);
    });
});
