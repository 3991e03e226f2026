/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of htel-size. Ends the program with 64 when it is wrong. */
#ifndef HTEL_SIZE_OPTIONS_H
#define HTEL_SIZE_OPTIONS_H

#include "plan.h"

typedef struct options {
  wish wish;
  const part *part; /* or NULL */
  bool json, list;
} options;

void options_parse(options *o, int argc, char **argv);

#endif
