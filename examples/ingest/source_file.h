/* SPDX-License-Identifier: Apache-2.0 */
/* source_file.h - a capture file as a source: what was kept aside on the way, put in afterwards. */
#ifndef INGEST_SOURCE_FILE_H
#define INGEST_SOURCE_FILE_H

#include <stdio.h>

#include "source.h"

/* `file` (named `name` in errors, which go to stderr) stays the caller's. False: no memory. */
bool source_file_open(source *s, FILE *file, const char *name);

/* How many of its messages could not be read. */
uint64_t source_file_damaged(const source *s);

#endif
