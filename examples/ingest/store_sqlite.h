/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite.h - the store in one SQLite file; README.md has its tables.
 *
 * WAL with synchronous FULL: a commit is one write and one sync, readers (audit, sqlite3, a
 * dashboard) go on meanwhile. One connection, used by one thread at a time. */
#ifndef INGEST_STORE_SQLITE_H
#define INGEST_STORE_SQLITE_H

#include "store.h"

typedef enum store_sqlite_mode {
  STORE_SQLITE_WRITE, /* made when it is not there */
  STORE_SQLITE_READ   /* must be there */
} store_sqlite_mode;

/* Fills in `store`; store->close ends it. `path` must stay as long: when the file has been deleted
 * or replaced, no commit succeeds any more; rollback notices, and the next begin opens what is at
 * the path then, or makes it. 0, or a negative value with `error` saying what is wrong
 * and what to do. */
int store_sqlite_open(store *s, const char *path, store_sqlite_mode mode, char *error,
                      size_t error_size);

#endif
