/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of htel-fleet. */
#ifndef FLEET_OPTIONS_H
#define FLEET_OPTIONS_H

#include "fleet.h"
#include "live.h"

typedef struct options {
  scenario scenario; /* with what the options change in it */
  uint64_t seed, seeds;
  unsigned jobs;
  uint32_t only;   /* FLEET_ALL, or the one device to simulate */
  uint32_t replay; /* FLEET_ALL, or the device to trace */
  uint32_t around_ms;
  bool trace_whole, shrink, first;
  bool json, progress;
  const char *report;
  live_options live; /* live.broker NULL: simulated */
} options;

/* Ends the program where it was only asked something, or asked wrongly (status 64). */
void options_parse(options *o, int argc, char **argv);

#endif
