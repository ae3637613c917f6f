/* Offsets in the block that the stub works with (block.h has the same as a structure; a static assertion holds the
 * two together). Read by the assembler and by C++. */
#ifndef HOT_FIX_BLOCK_LAYOUT_H
#define HOT_FIX_BLOCK_LAYOUT_H

#define BLOCK_ATTRIBUTE_INIT 0
#define BLOCK_SET_DETACHED 8
#define BLOCK_SET_STACK_SIZE 16
#define BLOCK_CREATE_THREAD 24
#define BLOCK_ERRNO_LOCATION 32
#define BLOCK_DLOPEN 40
#define BLOCK_DLSYM 48
#define BLOCK_DLERROR 56
#define BLOCK_MUNMAP 64
#define BLOCK_DLOPEN_FLAGS 72
#define BLOCK_MAPPING 80
#define BLOCK_MAPPING_LENGTH 88
#define BLOCK_START 96
#define BLOCK_FRAME 104
#define BLOCK_STACK_SIZE 112
#define BLOCK_ERRNO_ADDRESS 120
#define BLOCK_ERRNO_SAVED 128
#define BLOCK_STATE 132
#define BLOCK_WITHDRAWN 136
#define BLOCK_RELEASED 140
#define BLOCK_CREATED 144
#define BLOCK_THREAD_ID 148
#define BLOCK_STARTED 152
#define BLOCK_USE_MEMORY_FILE 156
#define BLOCK_DESCRIPTOR 160
#define BLOCK_FILLED 164
#define BLOCK_THREAD 168
#define BLOCK_ATTRIBUTES 176
#define BLOCK_MASK 240
#define BLOCK_PAUSE 248
#define BLOCK_NAME 264
#define BLOCK_SYMBOL 280
#define BLOCK_LIBRARY 304
#define BLOCK_ERROR 816
#define BLOCK_ERROR_SIZE 1024
#define BLOCK_SIZE 1840

#define STATE_NONE 0
#define STATE_LOADING 1
#define STATE_DONE 2
#define STATE_FAILED 3
#define STATE_WITHDRAWN 4

#endif
