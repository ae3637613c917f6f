// Which name in the text is which name in the symbol table: the cases that demangled names have.
import { strict as assert } from 'node:assert';
import { isSameFunction, qualifiedName } from '../../extension/workbench/state/function_names';

describe('the name within a demangled name', () => {
  for (const [demangled, expected] of [
    ['main', 'main'],
    ['shop::price_of(long)', 'shop::price_of'],
    ['shop::Cart<int>::add(int) const', 'shop::Cart::add'],
    ['void shop::each<std::map<int, long>>(std::map<int, long> const&)', 'shop::each'],
    ['shop::(anonymous namespace)::Worker::run()', 'shop::(anonymous namespace)::Worker::run'],
    ['(anonymous namespace)::helper(char const*)', '(anonymous namespace)::helper'],
    ['Vector::operator()(int)', 'Vector::operator()'],
    ['Vector::operator[](unsigned long)', 'Vector::operator[]'],
    ['operator<<(std::ostream&, Vector const&)', 'operator<<'],
    ['Vector::operator bool() const', 'Vector::operator bool'],
    ['Cart::~Cart()', 'Cart::~Cart'],
    ['name[abi:cxx11](int)', 'name'],
    ['run(int) [clone .cold]', 'run'],
    ['process_command.part.0', 'process_command'],
    ['run.constprop.0.isra.0', 'run'],
    ['run.cold', 'run'],
    ['run.c', 'run.c'],
    ['serve(int)::{lambda(int)#1}::operator()(int) const', 'serve'],
  ] as const) {
    it(`${demangled} is ${expected}`, () => assert.equal(qualifiedName(demangled), expected));
  }

  it('tells functions of the same name in other scopes apart', () => {
    assert.ok(isSameFunction('a::run(int)', 'a::run'));
    assert.ok(!isSameFunction('b::run(int)', 'a::run'));
    assert.ok(!isSameFunction('a::runner(int)', 'a::run'));
  });
});
