/* SPDX-License-Identifier: Apache-2.0 */
/* tls_heap.h - in the place of malloc and free, until mbedTLS has been given its buffer. */
#ifndef MCU_TLS_HEAP_H
#define MCU_TLS_HEAP_H

#include <stddef.h>

static inline void *tls_heap_none(size_t count, size_t size) {
  (void)count;
  (void)size;
  return NULL;
}

static inline void tls_heap_none_free(void *memory) {
  (void)memory;
}

#endif
