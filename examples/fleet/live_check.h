/* SPDX-License-Identifier: Apache-2.0 */
/* live_check.h - what a device recorded against what the ingest's database holds of it.
 *
 *     database -> frames of this boot, reading by reading -> oracle -> verdict
 *
 * The tables are read, not the frames' bytes: what a user of the database sees is what is checked.
 * An id may have been used before, by an earlier run with the same seed: only the present boot is
 * looked at. */
#ifndef FLEET_LIVE_CHECK_H
#define FLEET_LIVE_CHECK_H

#include "live_device.h"
#include "result.h"

#define LIVE_DELAY_MS_MAX 600000u

typedef struct live_check live_check;

/* NULL: `error`. The database must be there. */
live_check *live_check_open(const char *path, char *error, size_t error_size);
void live_check_close(live_check *c);

/* Tells the oracle of all that is stored, and has it judge; adds the delays to `r`. False: the
 * database cannot be read (`error`). */
bool live_check_device(live_check *c, const live_device *d, result *r, int64_t now_ms, char *error,
                       size_t error_size);

/* The delay that `pct` percent of all readings checked so far kept within; from when a reading was
 * taken until the ingest received it. */
int64_t live_check_delay_ms(const live_check *c, unsigned pct);

#endif
