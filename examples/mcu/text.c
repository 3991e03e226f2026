/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - see text.h. */
#include "text.h"

#include <stddef.h>
#include <string.h>

#include "semihost.h"

static char line[720];
static unsigned used;

static void put(const char *text) {
  while (*text != '\0' && used < sizeof line - 2u) line[used++] = *text++;
}

void line_begin(const char *text) {
  used = 0;
  put(text);
}

void line_text(const char *name, const char *value) {
  put(" ");
  put(name);
  put("=");
  put(value);
}

void line_number(const char *name, int64_t value) {
  char digits[24];
  unsigned at = sizeof digits - 1u;
  uint64_t left = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
  digits[at] = '\0';
  do {
    digits[--at] = (char)('0' + left % 10u);
    left /= 10u;
  } while (left > 0);
  if (value < 0) digits[--at] = '-';
  line_text(name, digits + at);
}

void line_end(void) {
  line[used] = '\n';
  line[used + 1u] = '\0';
  semihost_print(line);
}

const char *argument_text(const char *arguments, const char *name, char *value, unsigned room) {
  size_t chars = strlen(name);
  for (const char *at = arguments; at != NULL; at = strchr(at, ' ')) {
    while (*at == ' ') at++;
    if (*at == '\0') break;
    if (strncmp(at, name, chars) != 0 ||
        (at[chars] != '=' && at[chars] != ' ' && at[chars] != '\0'))
      continue;
    const char *from = at + chars + (at[chars] == '=');
    unsigned size = 0;
    for (; *from != ' ' && *from != '\0'; from++) {
      if (size + 1u >= room) return NULL;
      value[size++] = *from;
    }
    value[size] = '\0';
    return value;
  }
  return NULL;
}

int32_t argument_number(const char *arguments, const char *name, int32_t max, int32_t missing) {
  char digits[12];
  if (argument_text(arguments, name, digits, sizeof digits) == NULL) return missing;
  int32_t value = 0;
  for (const char *d = digits; *d != '\0'; d++) {
    if (*d < '0' || *d > '9' || value > (max - (*d - '0')) / 10) return -1;
    value = value * 10 + (*d - '0');
  }
  return digits[0] != '\0' ? value : -1;
}
