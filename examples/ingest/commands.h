/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - what htel-ingest can be told to do. Each reads its own options; argv[0] is
 * "htel-ingest NAME". */
#ifndef INGEST_COMMANDS_H
#define INGEST_COMMANDS_H

#include <argp.h>
#include <stdint.h>

/* Exit statuses. Wrong usage ends with argp's 64. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_FINDINGS = 3 };

int command_run(int argc, char **argv);
int command_import(int argc, char **argv);
int command_audit(int argc, char **argv);
int command_compare(int argc, char **argv);

/* A whole number within min..max, or the end of the program with a clear message. */
uint64_t option_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                       uint64_t max);

/* The same for an option that must be there. */
void option_required(struct argp_state *state, const char *name, const char *value);

#endif
