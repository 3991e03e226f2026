/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - report.html with the run's JSON and the plotting library put into it.
 *
 * The page's own script makes the tables and plots of the JSON. All that is done here is to put the
 * parts together so that nothing in the JSON can end the element that it is in, and to write them
 * beside `path` first: a report is there whole or not at all. */
#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Made by CMake of report.html and Chart.js; report_chart_size is 0 where that is missing. */
extern const unsigned char report_template[];
extern const size_t report_template_size;
extern const unsigned char report_chart[];
extern const size_t report_chart_size;

#define MARK_CHART "@@CHART@@"
#define MARK_RUN "@@RUN@@"

/* The file that becomes the report; NULL: there is not so much memory. */
static char *part_path(const char *path) {
  char *part;
  return asprintf(&part, "%s.part", path) < 0 ? NULL : part;
}

static int fail(const char *path, const char *why, char *error, size_t error_size) {
  snprintf(error, error_size, "report %s: %s", path, why);
  return -1;
}

static FILE *part_open(const char *path, const char *part, char *error, size_t error_size) {
  FILE *to = part == NULL ? NULL : fopen(part, "wbe");
  if (to == NULL)
    fail(path, part == NULL ? "not enough memory" : strerror(errno), error, error_size);
  return to;
}

int report_check(const char *path, char *error, size_t error_size) {
  if (report_chart_size == 0)
    return fail(path,
                "htel-fleet was built without Chart.js, which reports need: install the package "
                "libjs-chart.js and build again",
                error, error_size);
  struct stat there; /* a device or a pipe would be replaced by a file */
  if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode))
    return fail(path, "is there and is not a file: give the name of a file", error, error_size);
  char *part = part_path(path);
  FILE *to = part_open(path, part, error, error_size);
  if (to != NULL) {
    fclose(to);
    unlink(part);
  }
  free(part);
  return to == NULL ? -1 : 0;
}

/* JSON in an element <script>: `<` would begin its end or a comment, and U+2028 and U+2029 end a
 * line of a script. All three are only ever in strings, where they can be written otherwise. */
static void run_put(FILE *to, const char *json) {
  for (const char *c = json; *c != '\0'; c++) {
    if (*c == '<' || *c == '>' || *c == '&') {
      fprintf(to, "\\u%04x", (unsigned)(unsigned char)*c);
    } else if (strncmp(c, "\xE2\x80\xA8", 3) == 0 || strncmp(c, "\xE2\x80\xA9", 3) == 0) {
      fprintf(to, "\\u%04x", (unsigned char)c[2] == 0xA8u ? 0x2028u : 0x2029u);
      c += 2;
    } else {
      fputc(*c, to);
    }
  }
}

/* The template with its two marks replaced. False: it has not both, in this order. */
static bool page_put(FILE *to, const char *json) {
  const char *template = (const char *)report_template;
  const char *chart = strstr(template, MARK_CHART);
  const char *run = chart == NULL ? NULL : strstr(chart, MARK_RUN);
  if (run == NULL) return false;
  fwrite(template, 1, (size_t)(chart - template), to);
  fwrite(report_chart, 1, report_chart_size, to);
  chart += sizeof MARK_CHART - 1u;
  fwrite(chart, 1, (size_t)(run - chart), to);
  run_put(to, json);
  fputs(run + sizeof MARK_RUN - 1u, to);
  return true;
}

/* The run as it is shown: without the machine that it ran on. */
static char *run_print(const cJSON *run) {
  cJSON *shown = cJSON_Duplicate(run, true);
  if (shown == NULL) return NULL;
  cJSON_DeleteItemFromObjectCaseSensitive(shown, "machine");
  char *json = cJSON_PrintUnformatted(shown);
  cJSON_Delete(shown);
  return json;
}

int report_write(const char *path, const cJSON *run, char *error, size_t error_size) {
  if (report_check(path, error, error_size) != 0) return -1;
  char *json = run_print(run);
  char *part = part_path(path);
  FILE *to = json == NULL ? NULL : part_open(path, part, error, error_size);
  int rc = -1;
  if (json == NULL) {
    fail(path, "not enough memory", error, error_size);
  } else if (to != NULL) {
    bool whole = page_put(to, json) && ferror(to) == 0;
    if (fclose(to) == 0 && whole && rename(part, path) == 0)
      rc = 0;
    else
      fail(path, whole ? strerror(errno) : "cannot be written whole", error, error_size);
    if (rc != 0) unlink(part);
  }
  free(part);
  cJSON_free(json);
  return rc;
}
