// The debug information of a save says more of types than that of the build does. What was not edited is the same all the
// same, also where the header was written anew: containers of the program's types, types that a typedef names, classes whose
// constructors and virtual tables are in another unit.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { samples } from '../support/paths';
import { inSession } from '../support/session';

const HEADER = `#pragma once
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>
namespace app {
enum class Colour { red, green };
enum { LIMIT = 7, MORE };
typedef struct {
  int quot;
  union { int a; float b; };
  struct { long x, y; } at;
} Pair;
class Base {
public:
  Base();
  virtual ~Base();
  virtual int run(int) const;
protected:
  std::string name;
  mutable std::mutex lock;
  unsigned flag : 3, other : 5;
private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};
class Derived : public Base {
public:
  Derived(int);
  int run(int) const override;
  std::map<std::string, std::vector<Pair>> table;
  std::function<int(int)> call;
  std::variant<int, std::string> either;
  std::optional<Colour> colour;
  template <class T> struct Box { T t; Derived *d; };
  Box<Pair> box;
  Box<std::string> strings;
};
template <class T> struct Tree { Tree(); T value; Tree *left = nullptr; std::shared_ptr<Tree<T>> right; };
template <class T> Tree<T>::Tree() : value() {}
struct Never { Never(); Derived d; Tree<Never *> t; };
extern Derived derived;
extern Pair pair;
Derived *get();
Tree<int> tree();
}
`;
const OWNER = `#include "h.h"
namespace app {
struct Base::Impl { int n = 3; };
Base::Base() : name("b"), flag(1), other(2), impl(new Impl) {}
Base::~Base() = default;
int Base::run(int n) const { return n + impl->n; }
Derived::Derived(int n) : call([n](int k) { return n * k; }), either(1), box(), strings{"x", this} {
  table["a"].push_back({});
}
int Derived::run(int n) const { return call(n) + Base::run(n); }
Never::Never() : d(1) {}
Derived derived(2);
Pair pair{1, {2}, {3, 4}};
Derived *get() { return &derived; }
Tree<int> tree() { return {}; }
Never *never() { return new Never; }
}
`;
const UNIT = `#include "h.h"
#include <algorithm>
#include <sstream>
using namespace app;
static std::map<std::string, std::unique_ptr<Base>> all;
long value(long n) {
  auto made = std::make_unique<Derived>(5);
  made->either = std::string("x");
  all["a"] = std::move(made);
  std::ostringstream out;
  out << derived.table.size() << get()->box.t.quot;
  auto sum = [&](int k) { return k + pair.a + tree().value; };
  return sum(static_cast<int>(n)) + all["a"]->run(1) + static_cast<long>(out.str().size()) + 0;
}
`;

for (const compiler of ['g++', 'clang++'])
  for (const level of ['-O0', '-O2'])
    it(
      `types that were not edited are the same (${compiler} ${level})`,
      inSession(async (session) => {
        session.write('h.h', HEADER);
        session.write('owner.cc', OWNER);
        session.write('unit.cc', UNIT);
        session.write('main.cc', readFileSync(join(samples, 'driver', 'main.cc'), 'utf8'));
        const flags = ['-g', '-std=c++17', level];
        await session.build({ sources: ['main.cc', 'owner.cc', 'unit.cc'], flags, compiler });
        const program = await session.start();
        const first = Number(await program.ask('3'));
        await session.patch('unit.cc', 'unchanged');
        session.edit('h.h', '#pragma once', '#pragma once // as before');
        session.edit('unit.cc', '+ 0;', '+ 1;');
        assert.deepEqual((await session.patch('unit.cc')).warnings, []);
        assert.equal(Number(await program.ask('3')), first + 1);
        session.edit('owner.cc', 'n + impl->n', 'n + 1 + impl->n');
        assert.deepEqual((await session.patch('owner.cc')).warnings, []);
        assert.equal(Number(await program.ask('3')), first + 2);
        session.edit('h.h', 'unsigned flag : 3', 'int wide; unsigned flag : 3');
        session.edit('unit.cc', '+ 1;', '+ 2;');
        await session.refused('unit.cc', 'layout-changed');
        assert.equal(Number(await program.ask('3')), first + 2);
      }),
    );
