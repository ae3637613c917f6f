// The state program: one function that touches every kind of state a C++ program has.
#pragma once

extern int global_value;

/** Changes all state by `n` and prints every value on one line. */
void step(int n);
