/* The function that the tests replace. */
long value(long n) { return n * 2; }
