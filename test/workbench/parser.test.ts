// The parser's thread finds the functions of unsaved text, and keeps up with what is typed.
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startParser, type SyntaxParser } from '../../extension/workbench/documents/parser';
import { dist } from '../support/paths';
import { removeTemporaryDirectory, temporaryDirectory } from '../support/temporary';

const SOURCE = `#include <vector>
namespace shop {
namespace {
int helper(int a, int b) { return a + b; }
}
template <class T> struct Cart {
  Cart() = default;
  ~Cart() { clear(); }
  T *first(int at) { return nullptr; }
  bool operator==(const Cart &other) const { return true; }
  void clear();
};
template <class T> void Cart<T>::clear() {}
static const char *name(void)
{
  return "name";
}
std::vector<int> &all() { static std::vector<int> v; return v; }
}
int shop_total(void) { return 0; }
void (*handler(int signal))(int) { return nullptr; }
int declared(int);
`;

function open(parser: SyntaxParser, name: string, text: string): void {
  parser.open(name, 'cpp', () => ({ version: 1, text }));
}

/** A parser whose thread fails as it is told to. */
async function withThread(
  script: string,
  test: (parser: SyntaxParser, messages: string[]) => Promise<void>,
): Promise<void> {
  const directory = temporaryDirectory();
  const messages: string[] = [];
  writeFileSync(join(directory, 'thread.js'), script);
  const parser = startParser(join(directory, 'thread.js'), (message) => messages.push(message));
  try {
    await test(parser, messages);
  } finally {
    parser.dispose();
    removeTemporaryDirectory(directory);
  }
}

/** Parses by counting characters, and dies of a text with `die` in it. */
const COUNTING = `const { parentPort } = require('node:worker_threads');
let text = '';
parentPort.on('message', ({ type, document, version, text: opened, changes }) => {
  if (type === 'close') return;
  if (type === 'open') text = opened;
  else for (const { offset, removed, inserted } of changes) text = text.slice(0, offset) + inserted + text.slice(offset + removed);
  if (text.includes('die')) throw new Error('died of it');
  parentPort.postMessage({ document, version, functions: [{ name: text, startLine: text.length }] });
});
`;

describe('a parser whose thread dies', () => {
  it('is started again with the documents as they are now, and answers what waited for it', () =>
    withThread(COUNTING, async (parser, messages) => {
      let current = { version: 1, text: 'int a;' };
      parser.open('a', 'c', () => current);
      assert.equal((await parser.functions('a', 1))![0]!.name, 'int a;');
      parser.change('a', 2, [{ offset: 0, removed: 0, inserted: 'die ' }]);
      const waiting = parser.functions('a', 3);
      current = { version: 3, text: 'int abc;' };
      assert.equal((await waiting)![0]!.name, 'int abc;');
      assert.match(messages.join(), /died of it/);
    }));

  it('leaves nobody waiting when it cannot even begin, and tries again at the next question', () =>
    withThread(COUNTING, async (parser) => {
      let current = { version: 1, text: 'die' };
      parser.open('a', 'c', () => current);
      assert.deepEqual(await parser.functions('a', 1), []);
      current = { version: 2, text: 'int a;' };
      parser.change('a', 2, []);
      assert.equal((await parser.functions('a', 2))![0]!.name, 'int a;');
    }));
});

describe('functions in a text', () => {
  let parser: SyntaxParser;
  before(() => {
    parser = startParser(join(dist, 'parser_thread.js'), (message) => assert.fail(message));
  });
  after(() => parser.dispose());

  it('are found with their scopes, by the lines they stand on', async () => {
    const functions = await parser.functionsOf(SOURCE, 'cpp');
    assert.deepEqual(
      functions.map((f) => [f.name, f.startLine + 1, f.endLine + 1]),
      [
        ['shop::(anonymous namespace)::helper', 4, 4],
        ['shop::Cart::~Cart', 8, 8],
        ['shop::Cart::first', 9, 9],
        ['shop::Cart::operator==', 10, 10],
        ['shop::Cart::clear', 13, 13],
        ['shop::name', 14, 17],
        ['shop::all', 18, 18],
        ['shop_total', 20, 20],
        ['handler', 21, 21],
      ],
    );
    assert.equal(functions[0]!.parameters, 2);
  });

  it('follow what is typed, several changes at once included', async () => {
    open(parser, 'a', 'int one() { return 1; }\nint two() { return 2; }\n');
    const before = (await parser.functions('a', 1))!;
    parser.change('a', 2, [
      { offset: 36, removed: 0, inserted: ' /* ü */' },
      { offset: 0, removed: 0, inserted: '\n\n' },
    ]);
    const after = (await parser.functions('a', 2))!;
    assert.deepEqual(
      after.map((f) => [f.name, f.startLine]),
      [
        ['one', 2],
        ['two', 3],
      ],
    );
    assert.equal(after[0]!.hash, before[0]!.hash);
    assert.notEqual(after[1]!.hash, before[1]!.hash);
    parser.close('a');
  });

  it('are those of C for a C file', async () => {
    const functions = await parser.functionsOf('int class(int new) { return new; }\n', 'c');
    assert.deepEqual(
      functions.map((f) => f.name),
      ['class'],
    );
  });

  it('of other texts are found after one that cannot be parsed', async () => {
    const messages: string[] = [];
    const other = startParser(join(dist, 'parser_thread.js'), (message) => messages.push(message));
    try {
      const unknown = await other.functionsOf('int x;', 'fortran' as 'c');
      assert.deepEqual([unknown, messages.length], [[], 1]);
      const functions = await other.functionsOf('int y(void) { return 1; }', 'c');
      assert.deepEqual(
        functions.map(({ name }) => name),
        ['y'],
      );
    } finally {
      other.dispose();
    }
  });

  it('of a text that was closed are not waited for', async () => {
    open(parser, 'b', 'int x(void) { return 1; }');
    const waiting = parser.functions('b', 99);
    parser.close('b');
    assert.equal(await waiting, undefined);
  });
});
