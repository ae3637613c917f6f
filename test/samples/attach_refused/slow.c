/* A library whose constructor holds the loader's lock until somebody writes to the FIFO. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void wait_for_word(void) {
  char word;
  int fifo = open(getenv("SLOW_FIFO"), O_RDONLY);
  if (fifo < 0 || read(fifo, &word, 1) < 0) abort();
  close(fifo);
}
