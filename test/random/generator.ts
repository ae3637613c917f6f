// Random programs in C and C++ and random edits of them. A program is a list of functions made of statements, each of
// which is right in any place: they read and write `r` and `n`, unsigned longs, and variables of their own. So every
// edit leaves a program without undefined behaviour, and a full build of it says what is right.
import type { Texts } from '../support/live_program';
import { Random } from './random';

export interface Statement {
  /** By which a reduction finds it in every version. */
  id: number;
  text: string;
}

export interface Fn {
  name: string;
  /** What stands before `{`. */
  head: string;
  /** Where it is: in the unit, or in the header that two units include. */
  place: 'unit' | 'header';
  /** It calls only functions of lower rank, so that nothing recurs wherever it is moved to. */
  rank: number;
  body: Statement[];
}

export interface Model {
  language: 'c' | 'cc';
  functions: Fn[];
  /** File-scope data behind the headers: tables and classes. */
  data: Statement[];
}

export const UNIT = { c: 'unit.c', cc: 'unit.cc' } as const;
export const HEADER = 'shared.h';

const OPERATORS = ['+', '-', '^', '*', '|', '&'];
const WORDS = [
  'alpha',
  'beta',
  'gamma ray',
  'delta',
  'epsilon and more',
  'z',
  '',
  'omega',
  'a longer text than others',
];

/** Numbers of variables that programs have from the beginning. */
const [COUNTER, FIRST_MEMBER, FIRST_CELL] = [1000, 1001, 1010];
const MEMBERS = ['a', 'b', 'c', 'd'];
const CELLS = MEMBERS.length;

/** In texts `@5@` is a number that an edit may change, `%+%` an operator, `$text$` a string. */
class Maker {
  private ids = 0;
  private variables = 0;

  constructor(
    private readonly random: Random,
    private readonly language: 'c' | 'cc',
  ) {}

  statement(text: string): Statement {
    return { id: ++this.ids, text };
  }

  number = () => `@${this.random.below(4) === 0 ? this.random.below(100_000) : this.random.below(60)}@`;
  operator = () => `%${this.random.pick(OPERATORS)}%`;
  word = () => `$${this.random.pick(WORDS)}$`;

  /** The variable's slot is its number for the whole run: so its value can be read and set from outside. */
  private attached(declaration: (name: string) => string): [name: string, text: string] {
    const number = ++this.variables;
    const name = `v${number}`;
    return [name, `${declaration(name)} attach(${number}, &${name});`];
  }

  /** A use of a variable whose address nobody has: compilers may keep it in pieces, or leave it out. */
  private used(name: string, number: number): string {
    const { number: k, operator: o } = this;
    return `${name} = take(${number}, ${name}); ${name} = (${name} ${o()} (r % 10)) + ${k()}; leave(${number}, ${name}); r ^= ${name};`;
  }

  /** A use of a part of a variable that a compiler may split. */
  private part(): string {
    const part = this.random.below(CELLS);
    return this.random.below(2) === 0
      ? this.used(`state.${MEMBERS[part]}`, FIRST_MEMBER + part)
      : this.used(`cells[${part}]`, FIRST_CELL + part);
  }

  /** @param callable functions that it may call */
  any(callable: readonly string[]): Statement {
    const { number: k, operator: o, word: w } = this;
    const call = () =>
      callable.length === 0 ? `(r ${o()} ${k()})` : `${this.random.pick(callable)}(r ${o()} ${k()})`;
    const shared = [
      () => `r = (r ${o()} n) ${o()} ${k()};`,
      () => `if (n % 3 == @${this.random.below(3)}@) r += ${k()}; else r = r ${o()} ${k()};`,
      () => `for (u i = 0; i < n % 4 + 1; i++) r = r * 3 ${o()} (i + ${k()});`,
      () =>
        `switch (r % 7) { case 0: r += ${k()}; break; case 1: r ^= ${k()}; break; case 2: r = r ${o()} ${k()}; break; case 3: r -= ${k()}; break; case 5: r += n; break; default: r++; }`,
      () => `r = r ${o()} ${call()};`,
      () => `r += ${call()};`,
      () => `if (r & 1) r ^= ${call()};`,
      () => `r += hash(${w()});`,
      () => `{ const char *s = n & 1 ? ${w()} : ${w()}; r = r * 5 + hash(s); }`,
      () => `{ static const u t[] = {${k()}, ${k()}, ${k()}, ${k()}}; r = r ${o()} t[n & 3]; }`,
      () => `{ static const char *const t[] = {${w()}, ${w()}, ${w()}}; r += hash(t[r % 3]); }`,
      () => `{ double d = (double)(n % 100); r += (u)(d * ${k()}.5 + ${k()}.25); }`,
      () => `{ struct pair p = make_pair_of(r, ${k()}); r = p.a ${o()} p.b; }`,
      () => `r = table[r % 3](r ${o()} ${k()});`,
      () => `r += numbers[r % 4] ${o()} ${k()};`,
      () => {
        const [name, text] = this.attached((v) => `static u ${v} = ${this.random.below(100)};`);
        return `{ ${text} ${name} += r % 10 + ${k()}; r ^= ${name}; }`;
      },
      () => {
        const number = ++this.variables;
        return `{ static u v${number} = ${this.random.below(100)}; ${this.used(`v${number}`, number)} }`;
      },
      () => this.part(),
      () => `if (r % 1000 > ${k()}) { u q = r; while (q > 9) q = q / (${k()} % 7 + 2); r += q; }`,
      () => `{ u a[6] = {${k()}, n, ${k()}, r, ${k()}, 1}; sort_numbers(a, 6); r = a[2] ${o()} a[n % 6]; }`,
    ];
    const cxx = [
      () => `{ auto l = [=](u x) { return x ${o()} ${k()}; }; r = l(n) ${o()} r; }`,
      () => `{ u c = ${k()}; auto l = [&](u x) { c ^= x; return c ${o()} ${k()}; }; r += l(n); r ^= c; }`,
      () => `{ auto l = [](auto x) { return x + ${k()}; }; r += l(n) + u(l(short(n % 50))); }`,
      () =>
        `{ std::vector<std::string> v{${w()}, ${w()}, ${w()}}; v.push_back(${w()}); for (auto &s : v) r = r * 3 + hash(s.c_str()); }`,
      () => `{ std::map<int, std::string> m{{1, ${w()}}, {2, ${w()}}}; r += hash(m[int(n % 3)].c_str()); }`,
      () => `{ std::string s(${w()}); s += ${w()}; r += s.size() * ${k()} + hash(s.c_str()); }`,
      () =>
        `try { if (r % 3 == @${this.random.below(3)}@) throw int(r % 100); r += ${k()}; } catch (int e) { r = r ${o()} u(e + ${k()}); }`,
      () => `r = shapes[r % 3]->value(r ${o()} ${k()});`,
      () => `r = scaled<u>(r ${o()} ${k()}) ^ u(scaled<short>(short(n % 90)));`,
      () => `{ std::function<u(u)> f = [=](u x) { return x ${o()} (n + ${k()}); }; r = f(r); }`,
      () =>
        `{ u a[7]; for (u i = 0; i < 7; i++) a[i] = (i + ${k()}) * n % 31; std::sort(a, a + 7, [](u x, u y) { return (x ^ ${k()}) < (y ^ ${k()}); }); r += a[3]; }`,
      () => `r = inlined(r ${o()} ${k()});`,
      () => `r += counter.next(${k()});`,
    ];
    const makers = this.language === 'c' ? shared : [...shared, ...cxx, ...cxx];
    return this.statement(this.random.pick(makers)());
  }

  private inlined = () => (this.random.below(3) === 0 ? '__attribute__((noinline)) ' : '');

  function(name: string, rank: number, functions: readonly Fn[]): Fn {
    const count = 1 + this.random.below(4);
    return {
      name,
      head: `${this.inlined()}static u ${name}(u n)`,
      place: 'unit',
      rank,
      body: Array.from({ length: count }, () => this.any(below(rank, functions))),
    };
  }

  program(): Model {
    const { number: k, operator: o } = this;
    const functions: Fn[] = [];
    if (this.language === 'cc')
      functions.push({
        name: 'inlined',
        head: 'inline u inlined(u n)',
        place: 'header',
        rank: 0,
        body: [this.statement(`r = r ${o()} ${k()};`), this.statement(`r += hash(${this.word()});`)],
      });
    const count = 3 + this.random.below(4);
    for (let i = 0; i < count; i++) functions.push(this.function(`f${i}`, i + 1, functions));
    functions.push({
      name: 'turn',
      head: this.language === 'c' ? 'long turn(long number)' : 'extern "C" long turn(long number)',
      place: 'unit',
      rank: count + 1,
      body: [
        ...below(count + 1, functions).map((name) => this.statement(`r = r * 7 + ${name}(r + n);`)),
        this.any(below(count + 1, functions)),
      ],
    });
    const table = () => `t${this.random.below(3)}`;
    const first = () => Array.from({ length: CELLS }, () => this.random.below(100)).join(', ');
    const data = [
      ...[0, 1, 2].map((i) => this.statement(`static u t${i}(u n) { return n ${o()} ${k()}; }`)),
      this.statement(`static u (*const table[])(u) = {${table()}, ${table()}, ${table()}};`),
      this.statement(`static const u numbers[] = {${k()}, ${k()}, ${k()}, ${k()}};`),
      this.statement(
        `struct pair { u a, b; };\n__attribute__((noinline)) static struct pair make_pair_of(u a, u b) { struct pair p = {a ${o()} ${k()}, b}; return p; }`,
      ),
      this.statement(`static struct { u ${MEMBERS.join(', ')}; } state = {${first()}};`),
      this.statement(`static u cells[${CELLS}] = {${first()}};`),
      ...(this.language === 'c' ? [] : this.classes()),
    ];
    return { language: this.language, functions, data };
  }

  private classes(): Statement[] {
    const { number: k, operator: o } = this;
    return [
      `struct Shape { virtual ~Shape() {} virtual u value(u n) { return n ${o()} ${k()}; } };`,
      `struct Square : Shape { u side = 3; u value(u n) override { return n * side ${o()} ${k()}; } };`,
      `struct Both : Square { u value(u n) override { return Square::value(n) ${o()} ${k()}; } };`,
      'static Shape first; static Square second; static Both third;\nstatic Shape *const shapes[] = {&first, &second, &third};',
      `template <class T> ${this.inlined()}T scaled(T t) { return T(t * ${k()} + ${k()}); }`,
      `struct Counter { u value = 0; u next(u n) { attach(${COUNTER}, &value); value += n % 13; return value ${o()} ${k()}; } };\nstatic Counter counter;`,
    ].map((text) => this.statement(text));
  }

  /** An edit of a random kind; undefined when the program has no place for it. */
  edit(model: Model): Model | undefined {
    const copy: Model = {
      ...model,
      functions: model.functions.map((fn) => ({ ...fn, body: [...fn.body] })),
      data: [...model.data],
    };
    const lists = [copy.data, ...copy.functions.map(({ body }) => body)];
    const change = (pattern: RegExp, replacement: () => string): Model | undefined => {
      const places = lists.flatMap((list) =>
        list.flatMap(({ text }, index) =>
          [...text.matchAll(pattern)].map((match) => ({ list, index, begin: match.index, old: match[0] })),
        ),
      );
      if (places.length === 0) return undefined;
      const { list, index, begin, old } = this.random.pick(places);
      const { id, text } = list[index]!;
      list[index] = { id, text: text.slice(0, begin) + replacement() + text.slice(begin + old.length) };
      return copy;
    };
    const fn = this.random.pick(copy.functions.filter(({ place }) => place === 'unit'));
    const at = this.random.below(fn.body.length + 1);
    const callable = below(fn.rank, copy.functions);
    const kinds: [weight: number, make: () => Model | undefined][] = [
      [5, () => change(/@\d+@/g, this.number)],
      [3, () => change(/%.%/g, this.operator)],
      [4, () => change(/\$[^$]*\$/g, this.word)],
      [
        2,
        () => change(/\bt[012](?=[,}])/g, () => `t${this.random.below(3)}`), // an entry of a table
      ],
      [3, () => (fn.body.splice(at, 0, this.any(callable)), copy)],
      [3, () => (fn.body.splice(at, 0, this.statement(this.part())), copy)],
      [2, () => (fn.body.length > 1 ? (fn.body.splice(at % fn.body.length, 1), copy) : undefined)],
      [
        2,
        () => {
          const lower = copy.functions.map(({ rank }) => rank).filter((rank) => rank < fn.rank);
          const rank = (Math.max(0, ...lower) + fn.rank) / 2;
          const helper = this.function(`h${this.random.below(1_000_000)}`, rank, copy.functions);
          copy.functions.splice(copy.functions.indexOf(fn), 0, helper);
          fn.body.splice(at, 0, this.statement(`r ^= ${helper.name}(r + ${this.number()});`));
          return copy;
        },
      ],
      [
        2,
        () => {
          const [name, text] = this.attached((v) => `static u ${v} = ${this.random.below(1000)};`);
          fn.body.splice(at, 0, this.statement(`${text} ${name} += n % 5 + 1; r += ${name};`));
          return copy;
        },
      ],
      [
        1,
        () => {
          const [moved] = copy.functions.splice(this.random.below(copy.functions.length), 1);
          copy.functions.splice(this.random.below(copy.functions.length + 1), 0, moved!);
          return copy;
        },
      ],
    ];
    return this.random.weighted(kinds)();
  }
}

const below = (limit: number, functions: readonly Fn[]) =>
  functions.filter(({ rank }) => rank < limit).map(({ name }) => name);

/** The versions of a program: the first, and one for each edit in a row. */
export function makeVersions(seed: number, language: 'c' | 'cc', edits: number): Model[] {
  const maker = new Maker(new Random(seed), language);
  const versions = [maker.program()];
  while (versions.length <= edits) {
    const last = versions.at(-1)!;
    const next = maker.edit(last);
    if (next && JSON.stringify(textsOf(next)) !== JSON.stringify(textsOf(last))) versions.push(next);
  }
  return versions;
}

const plain = (text: string) =>
  text
    .replace(/@(\d+)@/g, '$1')
    .replace(/%(.)%/g, '$1')
    .replace(/\$([^$]*)\$/g, '"$1"');

function functionText({ head, name, body }: Fn): string {
  const [first, last] =
    name === 'turn'
      ? ['u n = (u)number, r = n;', 'return (long)(r % 1000000007);']
      : ['u r = n;', 'return r;'];
  return `${head} {\n  ${[first, ...body.map(({ text }) => plain(text)), last].join('\n  ')}\n}\n`;
}

/** The files of a version. */
export function textsOf({ language, functions, data }: Model): Texts {
  const inHeader = functions.filter(({ place }) => place === 'header');
  const inUnit = functions.filter(({ place }) => place === 'unit');
  const c = language === 'c' ? '' : 'extern "C" ';
  const library =
    language === 'c'
      ? '#include <stdlib.h>\n#include <string.h>\n'
      : '#include <algorithm>\n#include <cstdlib>\n#include <functional>\n#include <map>\n#include <string>\n#include <vector>\n';
  const header = `#pragma once
typedef unsigned long u;
${c}void attach(int, u *);
${c}u take(int, u);
${c}void leave(int, u);
${c}u hash(const char *);
${c}void sort_numbers(u *, int);
${inHeader.map(functionText).join('\n')}`;
  const declared = inUnit.filter(({ name }) => name !== 'turn').map(({ name }) => `static u ${name}(u);`);
  const unit = `${library}#include "${HEADER}"
${declared.join('\n')}
${data.map(({ text }) => plain(text)).join('\n')}
${inUnit.map(functionText).join('\n')}`;
  const second = `#include "${HEADER}"\n${c}long second(long number) { u n = (u)number; return (long)(${
    language === 'c' ? 'n' : 'inlined(n)'
  } % 1000003); }\n`;
  return { [HEADER]: header, [UNIT[language]]: unit, [`second.${language}`]: second };
}
