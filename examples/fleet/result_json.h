/* SPDX-License-Identifier: Apache-2.0 */
/* result_json.h - a result for people and for programs. docs/FLEET.md has the members. */
#ifndef FLEET_RESULT_JSON_H
#define FLEET_RESULT_JSON_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "result.h"

/* NULL: no memory. `only`: FLEET_ALL, or the device that was simulated alone. */
cJSON *result_json(const result *r, const scenario *s, uint64_t seed, uint32_t only);

void result_print(FILE *to, const result *r, const scenario *s, uint64_t seed, uint32_t only);

/* The sum of many seeds, on stdout. True: none failed. */
bool result_seeds_tell(const result *sum, const scenario *s, uint64_t first_seed, uint64_t seeds,
                       uint64_t failed, uint64_t first_failed, bool json);

#endif
