// The parser's thread finds the functions of unsaved text, and keeps up with what is typed.
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { startParser, type SyntaxParser } from '../../extension/workbench/documents/parser';
import { dist } from '../support/paths';

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

describe('functions in a text', () => {
  let parser: SyntaxParser;
  before(() => {
    parser = startParser(join(dist, 'parser_thread.js'), (error) => {
      throw error;
    });
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
    parser.open('a', 'cpp', 1, 'int one() { return 1; }\nint two() { return 2; }\n');
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

  it('of a text that was closed are not waited for', async () => {
    parser.open('b', 'c', 1, 'int x(void) { return 1; }');
    const waiting = parser.functions('b', 99);
    parser.close('b');
    assert.equal(await waiting, undefined);
  });
});
