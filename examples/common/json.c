/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: beyond it a double skips whole numbers */

/* The whole file, ended by a 0; *size without it. NULL with a reason in `error`. */
static char *file_read(const char *path, size_t bytes_max, size_t *size, char *error,
                       size_t error_size) {
  FILE *file = fopen(path, "rbe");
  if (!file) {
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    return NULL;
  }
  char *text = malloc(bytes_max + 1);
  if (!text) {
    snprintf(error, error_size, "%s: out of memory", path);
    fclose(file);
    return NULL;
  }
  *size = fread(text, 1, bytes_max + 1, file);
  bool failed = ferror(file) != 0;
  int why = errno;
  fclose(file);
  if (failed || *size > bytes_max) {
    snprintf(error, error_size, "%s: %s", path,
             failed ? strerror(why) : "the file is larger than a description should be");
    free(text);
    return NULL;
  }
  text[*size] = 0;
  return text;
}

static size_t line_of(const char *text, const char *at) {
  size_t line = 1;
  for (; text < at; text++) line += *text == '\n';
  return line;
}

cJSON *json_load(const char *path, size_t bytes_max, char *error, size_t error_size) {
  size_t size;
  char *text = file_read(path, bytes_max, &size, error, error_size);
  if (!text) return NULL;
  const char *end = text;
  cJSON *tree = cJSON_ParseWithLengthOpts(text, size + 1, &end, true);
  if (!tree) snprintf(error, error_size, "%s:%zu: this is not JSON", path, line_of(text, end));
  free(text);
  return tree;
}

bool json_int(const cJSON *object, const char *member, int64_t min, int64_t max, int64_t *value) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member);
  if (!cJSON_IsNumber(item)) return false;
  double number = item->valuedouble;
  if (!(fabs(number) < EXACT_MAX) || number != floor(number)) return false;
  int64_t whole = (int64_t)number;
  if (whole < min || whole > max) return false;
  *value = whole;
  return true;
}

const char *json_string(const cJSON *object, const char *member) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
}

bool json_add_uint(cJSON *object, const char *member, uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, value);
  return cJSON_AddRawToObject(object, member, text) != NULL;
}

bool json_add_int(cJSON *object, const char *member, int64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRId64, value);
  return cJSON_AddRawToObject(object, member, text) != NULL;
}

/* A new file that is readable by us alone; one left there by a crash goes. */
static FILE *file_create(const char *path) {
  unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return NULL;
  FILE *file = fdopen(fd, "w");
  if (!file) close(fd);
  return file;
}

int json_store(const cJSON *tree, const char *path, char *error, size_t error_size) {
  char *text = cJSON_Print(tree);
  char *beside = NULL;
  if (!text || asprintf(&beside, "%s.new", path) < 0) {
    free(text);
    snprintf(error, error_size, "%s: out of memory", path);
    return -1;
  }
  FILE *file = file_create(beside);
  bool written = file && fprintf(file, "%s\n", text) > 0;
  if (file && fclose(file) != 0) written = false;
  if (written && rename(beside, path) != 0) written = false;
  if (!written) {
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    unlink(beside);
  }
  free(beside);
  free(text);
  return written ? 0 : -1;
}
