/* SPDX-License-Identifier: Apache-2.0 */
/* scenarios.h - the scenarios of scenarios/, as embed.cmake puts them into the program. */
#ifndef FLEET_SCENARIOS_H
#define FLEET_SCENARIOS_H

typedef struct scenario_embedded {
  const char *name, *text;
} scenario_embedded;

extern const scenario_embedded scenarios[];
extern const unsigned scenarios_count;

#endif
