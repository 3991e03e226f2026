/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - the report of a run as one HTML file: made of the run's JSON and nothing else, so that
 * both say the same. The plotting library is embedded; nothing is fetched when it is opened.
 *
 * What the JSON says of the machine (`machine`) is left out: the same run makes the same bytes. */
#ifndef FLEET_REPORT_H
#define FLEET_REPORT_H

#include <cjson/cJSON.h>

/* Whether report_write can work, asked before a long run. 0, or -1 with `error` saying why. */
int report_check(const char *path, char *error, size_t error_size);

/* Writes `path` in one piece. 0, or -1 with `error` saying why. */
int report_write(const char *path, const cJSON *run, char *error, size_t error_size);

#endif
