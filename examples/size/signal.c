/* SPDX-License-Identifier: Apache-2.0 */
#include "signal.h"

#include <string.h>

/* A test holds the figures against docs/SIZES.md. */
static const signal signals[] = {
    {"ecg",
     "ECG, 11 or 12 bits, with ectopic beats",
     "mitdb208_ecg360",
     true,
     1,
     3600,
     21600,
     {.614, .614, .536},
     {.607, .607, .530}},
    {"ecg-quiet",
     "ECG of a patient at rest, filtered",
     "mimic037_ecg500",
     true,
     1,
     5000,
     30000,
     {.308, .308, .218},
     {.304, .304, .214}},
    {"ppg",
     "pleth, red and infrared of an oximeter",
     "smartcare_ppg100",
     true,
     3,
     1000,
     6000,
     {1.060, 1.060, .957},
     {1.051, 1.051, .945}},
    {"bvp",
     "pulse wave at the wrist, in motion",
     "e4_bvp64",
     true,
     1,
     640,
     3840,
     {1.266, 1.266, .854},
     {1.229, 1.229, .786}},
    {"pressure",
     "arterial pressure, respiration",
     "mimic037_abp_resp125",
     true,
     2,
     1250,
     7500,
     {.401, .401, .311},
     {.392, .392, .293}},
    {"acc",
     "acceleration at the wrist",
     "e4_acc32",
     true,
     3,
     320,
     1920,
     {.372, .373, .306},
     {.341, .341, .274}},
    {"vitals",
     "oximeter numerics, each second",
     "smartcare_num1",
     false,
     3,
     10,
     60,
     {1.692, 1.687, 1.121},
     {.497, .495, .341}},
    {"monitor",
     "bedside numerics, each minute",
     "mimic3_s25047_num",
     false,
     7,
     10,
     60,
     {2.248, 2.895, 1.530},
     {1.478, 2.018, .948}},
    {"hr",
     "heart rate with decimals, each second",
     "e4_hr1",
     false,
     1,
     10,
     60,
     {3.581, 3.581, 3.130},
     {1.085, 1.085, .994}},
    {"temperature",
     "skin temperature",
     "e4_temp4",
     false,
     1,
     40,
     240,
     {.956, .956, .739},
     {.346, .344, .259}},
    {"glucose",
     "continuous glucose, each 5 minutes",
     "cgm_dexcomG6",
     false,
     1,
     10,
     60,
     {4.613, 4.612, 3.541},
     {1.922, 2.419, 1.143}},
};

const signal *signal_at(unsigned i) {
  return i < sizeof signals / sizeof *signals ? &signals[i] : NULL;
}

const signal *signal_find(const char *name, size_t size) {
  for (unsigned i = 0; signal_at(i) != NULL; i++)
    if (strlen(signals[i].name) == size && strncmp(signals[i].name, name, size) == 0)
      return &signals[i];
  return NULL;
}

void signal_cost(const signal *s, uint8_t coding, double *channel, double *reading) {
  double frame_short = s->bytes_short[coding] * s->rows_short; /* of one channel's share */
  double frame_long = s->bytes_long[coding] * s->rows_long;
  *reading = (frame_long - frame_short) / (s->rows_long - s->rows_short);
  double head = frame_short - *reading * s->rows_short - (double)SIGNAL_ENVELOPE / s->channels;
  *channel = head > 2 ? head : 2; /* the figures are rounded: never less than a block's head */
}
