/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - what getenv() finds where there is no operating system: fewer seeds, for emulated
 * machines are slow. */
#include <stddef.h>

extern char **environ;

static char seeds[] = "HEALTHTEL_SEEDS=5";
static char *variables[] = {seeds, NULL};
char **environ = variables;
