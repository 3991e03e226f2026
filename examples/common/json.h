/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - small helpers around cJSON: reading a bounded file, exact integers, whole files. */
#ifndef HTEL_EXAMPLES_JSON_H
#define HTEL_EXAMPLES_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parsed file, to be freed with cJSON_Delete; or NULL, with `error` saying why. */
cJSON *json_load(const char *path, size_t bytes_max, char *error, size_t error_size);

/* A member that is a whole number within min..max; false when absent or anything else. cJSON keeps
 * numbers as doubles, so whole numbers beyond 2^53 are refused rather than rounded. */
bool json_int(const cJSON *object, const char *member, int64_t min, int64_t max, int64_t *value);

/* A member that is a string; NULL when absent or anything else. */
const char *json_string(const cJSON *object, const char *member);

/* Adds a whole number, exactly, however large. */
bool json_add_uint(cJSON *object, const char *member, uint64_t value);
bool json_add_int(cJSON *object, const char *member, int64_t value);

/* Writes the tree to `path` in one piece: a reader sees the old file or the whole new one,
 * which its owner alone may read. 0, or -1 with `error` saying why. */
int json_store(const cJSON *tree, const char *path, char *error, size_t error_size);

#endif
