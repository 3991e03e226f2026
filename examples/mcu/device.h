/* SPDX-License-Identifier: Apache-2.0 */
/* device.h - what the device measures, and the two interrupts that do.
 *
 *     360 Hz    one sample of the built-in ECG; twelve make a block            ring 0
 *     211 ms    pulse, SpO2, respiration; each 29th time an alarm changes      ring 1
 *
 * The first interrupt may come in the middle of the second, so each has a ring of its own. */
#ifndef MCU_DEVICE_H
#define MCU_DEVICE_H

#include "healthtel/healthtel.h"

enum { CH_ECG, CH_PULSE, CH_SPO2, CH_RESP, CH_ALARM, CH_COUNT };

#define ECG_HZ 360u
#define ECG_BLOCK 12u
#define NUMERICS_MS 211u /* a prime: it never keeps in step with anything */
#define ALARM_EACH 29u
#define ALARM_CODE HTEL_MDC_PRIVATE(1)

/* Rings wake the poller when they are half full; the other half must do until it has come, which is
 * after the longest htel_poll (README.md has what it takes). 9 ECG blocks: 300 ms. */
#define RING_ECG_BYTES 1024u
#define RING_NUMERICS_BYTES 512u

extern const uint32_t recording_samples;
extern const int16_t recording[];
extern const htel_channel device_channels[CH_COUNT];

/* Numeric n of a channel, from 0. */
static inline int32_t device_numeric(unsigned channel, uint32_t n) {
  static const struct {
    uint16_t base, step, span;
  } shape[CH_COUNT] = {[CH_PULSE] = {58, 7, 40}, [CH_SPO2] = {940, 13, 60}, [CH_RESP] = {11, 3, 9}};
  return (int32_t)(shape[channel].base + n * shape[channel].step % shape[channel].span);
}

/* What record functions have accepted, and refused, since device_start(). */
typedef struct device_counts {
  uint32_t accepted[CH_COUNT];
  uint32_t refused[CH_COUNT];
} device_counts;

extern volatile device_counts device_counted;

void device_start(htel *tel);
/* Nothing more is recorded; what is left of a block is. The timers go on: they wake the main loop.
 */
void device_stop(void);

#endif
