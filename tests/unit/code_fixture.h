/* SPDX-License-Identifier: Apache-2.0 */
/* code_fixture.h - a device on the desk: columns are coded into a frame and read back by the
 * decoder as an ingest would read them. Shared by the tests of the coder and of what it feeds. */
#ifndef HTEL_TESTS_CODE_FIXTURE_H
#define HTEL_TESTS_CODE_FIXTURE_H

#include "birth.h"
#include "code.h"
#include "frame.h"
#include "../../ports/sim/sim_random.h"

/* Channels 0 ECG 360 Hz, 1 pulse, 2 alarms, 3 a waveform of 1000/3 Hz, 4 temperature, 5 a waveform
 * of one sample a minute. */
enum { CH_ECG, CH_PULSE, CH_ALARM, CH_THIRDS, CH_TEMP, CH_SLOW, CH_COUNT };
extern const htel_channel fixture_channels[CH_COUNT];

typedef struct fixture {
  uint8_t blocks[HTEL_FRAME_BYTES_MAX];
  size_t used; /* of blocks */
  uint8_t bytes[HTEL_FRAME_BYTES_MAX];
  size_t size; /* of bytes: the frame */
  uint64_t tick;
  htel_birth birth;
  htel_frame frame;
  htel_reader reader;
  htel_series series;
} fixture;

/* One fixture for all tests of a program (it is large): emptied, with the birth decoded. */
fixture *fixture_begin(void);

/* Codes a column behind what is there, with exactly as much room as it takes; checks that one byte
 * less is refused, that nothing is written behind the room, and the promised maximum. */
size_t fixture_add(fixture *f, const code_column *column, code_residuals residuals);

/* Makes a stored frame of the blocks and opens it with the reader. */
void fixture_frame(fixture *f);

/* Reads the next series and compares it with the column that it was. */
void fixture_expect(fixture *f, const code_column *column);

/* ... and that nothing follows. */
void fixture_expect_end(fixture *f);

/* Values of one of several shapes: walks, extremes, constants, noise, spikes, ramps, steps. */
enum { SHAPE_COUNT = 10 };
void fixture_values(sim_random *r, unsigned shape, int32_t *values, uint16_t count);

#endif
