/* SPDX-License-Identifier: Apache-2.0 */
/* proto.h - what all users of the generated messages share. */
#ifndef HTEL_SRC_PROTO_H
#define HTEL_SRC_PROTO_H

#include "healthtel.pb.h"

/* nanopb's callback arguments are not const, although encoding only hands them through: every
 * encode callback must read alone. */
static inline void *proto_arg(const void *given) {
  union {
    const void *given;
    void *taken;
  } arg = {given};
  return arg.taken;
}

#endif
