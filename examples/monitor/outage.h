/* SPDX-License-Identifier: Apache-2.0 */
/* outage.h - a link that has no network at given times, around one that has.
 *
 * While an outage lasts the inner connection is closed and new attempts fail at once, as they do
 * for a device that has left its radio's range. */
#ifndef HTEL_MONITOR_OUTAGE_H
#define HTEL_MONITOR_OUTAGE_H

#include "healthtel/port.h"
#include "options.h"

typedef struct outage {
  const htel_link *inner;
  htel_link link;
  const htel_port *port; /* for the clock */
  uint32_t tick0;        /* starts count from here */
  const options_outage *plan;
  unsigned plan_count;
  bool inner_open;  /* the inner link still owes a DOWN */
  bool cutting;     /* ... and it is this outage that closed it */
  bool refused_due; /* an attempt during an outage is to be answered */
} outage;

/* Everything is kept by reference. `port` needs its clock only when the link is used. */
void outage_init(outage *o, const htel_link *inner, const htel_port *port,
                 const options_outage *plan, unsigned plan_count);
const htel_link *outage_link(outage *o);

#endif
