// Types and an inline function that the seed's debug information names.
struct Base {
  virtual ~Base() {}
  virtual int area() const = 0;
};
template <class T, int N> struct Row {
  T cells[N];
  T &at(int i) { return cells[i]; }
};
inline int twice(int n) { return 2 * n; }
