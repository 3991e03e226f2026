/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - lines of words and numbers without a C library's printf. */
#ifndef MCU_TEXT_H
#define MCU_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* ---- A line to the console, up to 700 characters; longer ones are cut -------------------- */

void line_begin(const char *text);
void line_text(const char *name, const char *value); /* " name=value" */
void line_number(const char *name, int64_t value);
void line_end(void);

/* ---- Arguments: words of name=value -------------------------------------------------------- */

/* The value of `name` in `arguments`, up to `room` characters with the end; NULL: none, or longer.
 * A name without "=" has the value "". */
const char *argument_text(const char *arguments, const char *name, char *value, unsigned room);
/* As a decimal number up to `max`; `missing` where it is not there; -1 where it is none. */
int32_t argument_number(const char *arguments, const char *name, int32_t max, int32_t missing);

#endif
