/* What random programs have in common: their variables are announced here, so that their values can be read from a
   running process and put into another one. */
#include <stdio.h>
#include <string.h>

typedef unsigned long u;

static u *places[2000];
static u left[2000];
static char is_left[2000];
static u given[2000];
static char is_given[2000];

/* Called by code before it uses a variable; a value that waits for the variable is put into it. */
void attach(int number, u *place) {
  places[number] = place;
  if (is_given[number]) *place = given[number];
  is_given[number] = 0;
}

/* The same for a variable whose address nobody has: called before it is used, with its value, and behind that. */
u take(int number, u value) {
  if (is_given[number]) value = given[number];
  is_given[number] = 0;
  return value;
}

void leave(int number, u value) {
  left[number] = value;
  is_left[number] = 1;
}

u hash(const char *text) {
  u sum = 5381;
  while (*text != 0) sum = sum * 33 + (unsigned char)*text++;
  return sum % 100003;
}

void sort_numbers(u *a, int count) {
  for (int i = 1; i < count; i++)
    for (int j = i; j > 0 && a[j - 1] > a[j]; j--) {
      u other = a[j];
      a[j] = a[j - 1];
      a[j - 1] = other;
    }
}

/* Observers: the values of all variables that code used since `forget`; `give NUMBER VALUE …`. */
const char *peek(long unused) {
  static char text[40000];
  char *end = text;
  (void)unused;
  *end = 0;
  for (int i = 0; i < 2000; i++)
    if (places[i] != NULL) end += sprintf(end, "%d=%ld ", i, (long)*places[i]);
    else if (is_left[i]) end += sprintf(end, "%d=%ld ", i, (long)left[i]);
  return text;
}

long forget(long unused) {
  memset(places, 0, sizeof places);
  memset(is_left, 0, sizeof is_left);
  return unused;
}

long give(long value) {
  static long number = -1;
  if (number < 0) {
    number = value;
  } else {
    given[number] = (u)value;
    is_given[number] = 1;
    number = -1;
  }
  return value;
}
