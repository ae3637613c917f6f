// A little of everything that compilers describe: types of each kind, templates, exceptions, thread-local and static
// variables, lambdas. Small, because each input of the fuzzer is a changed copy of what becomes of it.
#include "seed.h"
namespace ns {
struct Point { int x : 4; unsigned y; union { long a; double b; } u; };
enum class Color : unsigned char { red, green = 7 };
}
struct Shape : Base {
  ns::Point corner[3];
  ns::Color color;
  int area() const override { return twice(static_cast<int>(corner[1].y)); }
};
static thread_local int calls;
static int counter = 3;
void may_throw(int);
int use(Base &shape, Row<int, 4> &row) {
  try {
    may_throw(row.at(1));
  } catch (const Shape &caught) {
    return caught.area();
  } catch (int number) {
    return number;
  }
  static int kept = 5;
  auto add = [&](int n) { return n + counter + kept; };
  calls++;
  return add(shape.area());
}
int made(ns::Color color) {
  Shape shape;
  shape.color = color;
  Row<int, 4> row{};
  switch (static_cast<int>(color)) { case 0: return 1; case 1: return 7; case 2: return 9; case 3: return 12; case 4: return 4; }
  return use(shape, row);
}
