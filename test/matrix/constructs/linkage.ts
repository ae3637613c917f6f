// What linkers and several units have a part in: linkage, attributes of symbols, headers, sections.
import type { Construct } from '../construct';

export const linkage: readonly Construct[] = [
  {
    id: 'inline-header-function',
    language: 'cc',
    text: '#include "$$.h"\nlong step(long n) { return $$::scale(n) * 1000 + other_$$(n); }',
    files: {
      '$$.h':
        '#pragma once\nnamespace $$ { inline long scale(long n) { return n * 3; } }\nextern "C" long other_$$(long n);\n',
      '$$_2.cc': '#include "$$.h"\nlong other_$$(long n) { return $$::scale(n) + 1; }\n',
    },
    edited: '$$.h',
    edit: ['n * 3', 'n * 4', 'n * 5'],
    global: true,
  },
  {
    id: 'static-header-function',
    language: 'c',
    text: '#include "$$.h"\nlong step(long n) { return scale(n) * 1000 + other_$$(n); }',
    files: {
      '$$.h': 'static inline long scale(long n) { return n * 3; }\nlong other_$$(long n);\n',
      '$$_2.c': '#include "$$.h"\nlong other_$$(long n) { return scale(n) + 1; }\n',
    },
    edited: '$$.h',
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'class-in-header',
    language: 'cc',
    text: '#include "$$.h"\nstatic $$::A a{3};\nlong step(long n) { return a.get(n) * 1000 + other_$$(n); }',
    files: {
      '$$.h':
        '#pragma once\nnamespace $$ { struct A { long v; long get(long n) const { return v * n + 7; } }; }\nextern "C" long other_$$(long n);\n',
      '$$_2.cc': '#include "$$.h"\nlong other_$$(long n) { $$::A a{5}; return a.get(n); }\n',
    },
    edited: '$$.h',
    edit: ['v * n + 7', 'v * n + 8', 'v + n'],
    global: true,
  },
  {
    id: 'template-in-header',
    language: 'cc',
    text: '#include "$$.h"\nlong step(long n) { return $$::f(n) * 1000 + other_$$(n); }',
    files: {
      '$$.h':
        '#pragma once\nnamespace $$ { template <class T> T f(T t) { return t * 7; } }\nextern "C" long other_$$(long n);\n',
      '$$_2.cc': '#include "$$.h"\nlong other_$$(long n) { return $$::f(n) + $$::f(0.5 * n); }\n',
    },
    edited: '$$.h',
    edit: ['t * 7', 't * 8', 't * 9'],
    global: true,
  },
  {
    id: 'macro-in-header',
    language: 'c',
    text: '#include "$$.h"\nlong step(long n) { return n * LIMIT + other_$$(n); }',
    files: {
      '$$.h': '#define LIMIT 3\nlong other_$$(long n);\n',
      '$$_2.c': '#include "$$.h"\nlong other_$$(long n) { return n + LIMIT * 1000; }\n',
    },
    edited: '$$.h',
    edit: ['LIMIT 3', 'LIMIT 4', 'LIMIT 5'],
  },
  {
    id: 'generated-table-included',
    language: 'c',
    text: 'static const long table[] = {\n#include "$$.inc"\n};\nlong step(long n) { return table[n & 3]; }',
    files: { '$$.inc': '10,\n20,\n30,\n40,\n' },
    edited: '$$.inc',
    edit: ['20,', '21,', '99,'],
  },
  {
    id: 'unity-build',
    language: 'c',
    text: '#include "$$_part.c.inc"\nlong step(long n) { return part(n) + 1; }',
    files: { '$$_part.c.inc': 'static long part(long n) { return n * 7; }\n' },
    edited: '$$_part.c.inc',
    edit: ['n * 7', 'n * 8', 'n * 9'],
  },
  {
    id: 'one-source-compiled-twice',
    language: 'c',
    text: `#ifdef FIRST
long second_$$(long n);
__attribute__((noinline)) static long part(long n) { return n * 3; }
long step(long n) { return part(n) * 1000 + second_$$(n); }
#else
__attribute__((noinline)) static long part(long n) { return n * 3; }
long second_$$(long n) { return part(n) + 1; }
#endif`,
    flags: [['-DFIRST'], ['-DSECOND']],
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'called-from-another-unit',
    language: 'c',
    text: 'long other_$$(long n);\nlong part_$$(long n) { return n * 3; }\nlong step(long n) { return other_$$(n); }',
    files: { '$$_2.c': 'long part_$$(long n);\nlong other_$$(long n) { return part_$$(n) + 1; }\n' },
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'weak-function',
    language: 'c',
    text: `__attribute__((weak)) long part_$$(long n) { return n * 3; }
long step(long n) { return part_$$(n) + 1; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'weak-beside-strong',
    language: 'c',
    text: `__attribute__((weak, noinline)) long part_$$(long n) { return n * 3; }
long step(long n) { return part_$$(n) + 7; }`,
    files: { '$$_2.c': 'long part_$$(long n) { return n * 100; }\n' },
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'strong-beside-weak',
    language: 'c',
    text: `long part_$$(long n) { return n * 3; }
long step(long n) { return part_$$(n) + 7; }`,
    files: { '$$_2.c': '__attribute__((weak, noinline)) long part_$$(long n) { return n * 100; }\n' },
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'weak-undefined',
    language: 'c',
    text: `extern long absent_$$(long n) __attribute__((weak));
long step(long n) { return absent_$$ ? absent_$$(n) : n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'alias',
    language: 'c',
    text: `long part_$$(long n) { return n * 3; }
long also_$$(long n) __attribute__((alias("part_$$")));
long step(long n) { return also_$$(n) * 1000 + part_$$(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'ifunc',
    language: 'c',
    text: `static long fast(long n) { return n * 3; }
static long (*resolve_$$(void))(long) { return fast; }
long part_$$(long n) __attribute__((ifunc("resolve_$$")));
long step(long n) { return part_$$(n) + 7; }`,
    edit: ['part_$$(n) + 7', 'part_$$(n) + 8', 'part_$$(n) * 9'],
    refused: ['unsupported-construct'],
  },
  {
    id: 'ifunc-implementation',
    language: 'c',
    text: `static long fast(long n) { return n * 3; }
static long (*resolve_$$(void))(long) { return fast; }
long part_$$(long n) __attribute__((ifunc("resolve_$$")));
long step(long n) { return part_$$(n) + 7; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'section-attribute',
    language: 'c',
    text: `__attribute__((section("special_$$"), noinline)) static long part(long n) { return n * 3; }
long step(long n) { return part(n) + 1; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'section-array',
    language: 'c',
    text: `#define ENTRY(name, v) static const long name __attribute__((used, section("rows_$$"))) = v
ENTRY(a, 3); ENTRY(b, 4);
extern const long __start_rows_$$[], __stop_rows_$$[];
long step(long n) { long s = 0; for (const long *p = __start_rows_$$; p < __stop_rows_$$; p++) s += *p; return s * 100 + n * 7; }`,
    edit: ['n * 7', 'n * 8', 'n * 9'],
    notIn: ({ id }) => (/sections|lto/.test(id) ? 'the linker drops the array' : undefined),
  },
  {
    id: 'visibility-attribute',
    language: 'c',
    text: `__attribute__((visibility("hidden"), noinline)) long part_$$(long n) { return n * 3; }
__attribute__((visibility("protected"), noinline)) long also_$$(long n) { return n * 5; }
long step(long n) { return part_$$(n) * 100 + also_$$(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'asm-label',
    language: 'c',
    text: `__attribute__((noinline)) long part_$$(long n) __asm__("renamed_$$");
long part_$$(long n) { return n * 3; }
long step(long n) { return part_$$(n) + 1; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'c-constructor',
    language: 'c',
    text: `static long ready;
__attribute__((constructor)) static void begin(void) { ready = 5; }
long step(long n) { return ready * 100 + n * 3; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'library-call-added',
    language: 'c',
    text: '#include <stdlib.h>\n#include <string.h>\n#include <ctype.h>\nlong step(long n) { return n * 3; }',
    edit: ['n * 3', 'labs(-n) + strlen("four") + toupper(\'a\' + n)', 'strtol("123", 0, 10) + n'],
  },
  {
    id: 'library-data-added',
    language: 'c',
    text: '#include <stdio.h>\n#include <unistd.h>\n#include <errno.h>\nlong step(long n) { return n * 3; }',
    edit: [
      'return n * 3',
      'errno = (int)n; return errno * 10 + (stderr != 0)',
      'return n * 5 + (stdin != 0) + (environ != 0)',
    ],
    flags: ['-D_GNU_SOURCE'],
  },
  {
    id: 'mathematics-added',
    refused: ['unresolved-symbol'],
    language: 'c',
    text: '#include <math.h>\nlong step(long n) { return n * 3; }',
    edit: ['n * 3', '(long)(pow(n, 2.5) * 10)', '(long)(sin(n) * 1000)'],
  },
  {
    id: 'iostream-added',
    refused: ['needs-constructor', 'unresolved-symbol'],
    language: 'cc',
    text: 'long step(long n) { return n * 3; }',
    edit: [
      'long step(long n) { return n * 3; }',
      '#include <iostream>\nlong step(long n) { std::cerr << ""; return n * 4; }',
      '#include <iostream>\nlong step(long n) { std::cerr << "" << std::flush; return n * 5; }',
    ],
    global: true,
  },
  {
    id: 'atexit-handler',
    language: 'c',
    text: `#include <stdlib.h>
static long done;
static void finish(void) { done = 1; }
long step(long n) { static int once; if (!once) { once = 1; atexit(finish); } return n * 3 + done; }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'common-symbol',
    language: 'c',
    text: 'long common_$$;\nlong step(long n) { common_$$ += n; return common_$$ * 10 + 3; }',
    flags: ['-fcommon'],
    edit: ['+ 3', '+ 4', '+ 5'],
  },
  {
    id: 'exported-variable-in-other-unit',
    language: 'c',
    text: 'extern long shared_$$;\nlong step(long n) { shared_$$ += n; return shared_$$ * 10 + 3; }',
    files: { '$$_2.c': 'long shared_$$ = 100;\n' },
    edit: ['+ 3', '+ 4', '+ 5'],
  },
];
