/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - names and words of the error codes, both made from the one table in error.h. */
#include "healthtel/error.h"

#include <stddef.h>

/* A switch rather than an array: codes have gaps, and the compiler packs it well. */
const char *htel_strerror(int error) {
  switch (error) {
#define ERROR_TEXT(name, number, text) \
  case number: return text;
    HTEL_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    default: return error >= 0 ? "success" : "an error that this library does not know";
  }
}

const char *htel_errname(int error) {
  switch (error) {
#define ERROR_NAME(name, number, text) \
  case number: return #name;
    HTEL_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    default: return error >= 0 ? "HTEL_OK" : "HTEL_E_UNKNOWN";
  }
}
