/* SPDX-License-Identifier: Apache-2.0 */
/* codec_stack.c - how deep a function's stack goes: it runs in a thread on a stack that was painted
 * before, and the paint that is left is counted. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "codec.h"

#define STACK_BYTES (1u << 20)
#define PAINT 0xA5

typedef struct run {
  int (*function)(void *ctx);
  void *ctx;
  const uint8_t *here; /* where the function's own stack begins */
  int result;
} run;

static void *thread_run(void *arg) {
  run *r = arg;
  r->here = __builtin_frame_address(0);
  r->result = r->function(r->ctx);
  return NULL;
}

static int on_stack(run *r, uint8_t *stack) {
  pthread_attr_t attributes;
  pthread_t thread;
  memset(stack, PAINT, STACK_BYTES);
  if (pthread_attr_init(&attributes) != 0) return -1;
  int rc = pthread_attr_setstack(&attributes, stack, STACK_BYTES);
  if (rc == 0) rc = pthread_create(&thread, &attributes, thread_run, r);
  if (rc == 0) rc = pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
  return rc == 0 ? r->result : -1;
}

int64_t codec_stack_bytes(int (*function)(void *ctx), void *ctx) {
  uint8_t *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -1;
  run r = {.function = function, .ctx = ctx};
  int64_t used = -1;
  if (on_stack(&r, stack) == 0) {
    const uint8_t *deepest = stack;
    while (*deepest == PAINT && deepest < r.here) deepest++;
    used = r.here - deepest;
  }
  munmap(stack, STACK_BYTES);
  return used;
}
