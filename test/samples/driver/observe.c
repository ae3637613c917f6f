/* Driver of programs with many observers: reads `NAME n…` and prints what NAME returns for each n, in one line. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct observer {
  const char *name;
  long (*number)(long);
  const char *(*text)(long);
};
#ifdef LOADED
static const struct observer *observers;
#else
__attribute__((visibility("default"))) extern const struct observer observers[];
#endif

static void print(const char *text) {
  if (text == NULL) text = "(null)";
  for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
    if (*p < ' ' || *p > '~') printf("\\x%02x", *p);
    else putchar(*p);
  }
}

int main(void) {
  static char line[65536];
#ifdef LOADED
  void *library = dlopen("./libunits.so", RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  observers = dlsym(library, "observers");
#endif
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *rest = NULL;
    const char *name = strtok_r(line, " \n", &rest);
    const struct observer *found = observers;
    while (name != NULL && found->name != NULL && strcmp(found->name, name) != 0) found++;
    for (const char *n; found->name != NULL && (n = strtok_r(NULL, " \n", &rest)) != NULL; fputs(" | ", stdout)) {
      if (found->number != NULL) printf("%ld", found->number(atol(n)));
      else print(found->text(atol(n)));
    }
    putchar('\n');
    fflush(stdout);
  }
  return 0;
}
