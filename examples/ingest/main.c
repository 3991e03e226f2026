/* SPDX-License-Identifier: Apache-2.0 */
/* htel-ingest: takes frames from a broker into a database, and says whether all are there. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "healthtel/healthtel.h"

const char *argp_program_version = "htel-ingest " HTEL_VERSION;

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *help;
} commands[] = {
    {"run", command_run, "Take frames from a broker into a database"},
    {"import", command_import, "Take frames from capture files into a database"},
    {"audit", command_audit, "Say for each device whether every frame is accounted for"},
    {"compare", command_compare, "Compare what is stored with the recording that was played"},
};

uint64_t option_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                       uint64_t max) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || !isdigit((unsigned char)*text) || *end != '\0' || value < min || value > max)
    argp_error(state, "--%s must be a whole number of %llu to %llu", name, (unsigned long long)min,
               (unsigned long long)max);
  return value;
}

void option_required(struct argp_state *state, const char *name, const char *value) {
  if (value == NULL) argp_error(state, "--%s is missing", name);
}

static void usage(FILE *to) {
  fprintf(to, "Usage: htel-ingest COMMAND [OPTION...]\n\n");
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
  fprintf(to, "\nhtel-ingest COMMAND --help tells its options.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return 64;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
    puts(argp_program_version);
    return 0;
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(argv[1], commands[i].name) != 0) continue;
    char name[32];
    snprintf(name, sizeof name, "htel-ingest %s", commands[i].name);
    argv[1] = name;
    return commands[i].run(argc - 1, argv + 1);
  }
  fprintf(stderr, "htel-ingest: there is no command '%s'\n", argv[1]);
  usage(stderr);
  return 64;
}
