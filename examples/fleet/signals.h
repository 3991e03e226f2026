/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - what a simulated patient's readings are: functions of seed, channel and number alone.
 *
 * Nothing has to be kept to know afterwards what should have been stored. Reading number k of a
 * channel belongs to one moment of the run (true time in ms, since the run began), whatever happens
 * to the device; a device that is off at that moment does not record it. Values look like vitals
 * (they wander, beat and are coded with realistic sizes) without a patient behind them.
 *
 *   numerics   k is due at k * period_ms, and up to 2 ms later, by chance
 *   waveforms  sample k; bursts follow each other without a gap in k; sample k is exactly
 *              burst start + floor(i * 1000 * den / num) ms, i its place in the burst
 *   alarms     events, a few a day: begins and ends */
#ifndef FLEET_SIGNALS_H
#define FLEET_SIGNALS_H

#include "scenario.h"

/* `signal`: names the patient and the channel: signal_seed(). */
uint64_t signal_seed(uint64_t run_seed, uint32_t device, uint32_t channel);

int32_t signal_value(const scenario_channel *ch, uint64_t signal, uint64_t k);
htel_quality signal_quality(const scenario_channel *ch, uint64_t signal, uint64_t k);
/* Number k may have another quality than the one before. */
bool signal_quality_changes(const scenario_channel *ch, uint64_t k);
/* Waveforms have one quality for each run of SIGNAL_BLOCK samples (k / SIGNAL_BLOCK). */
#define SIGNAL_BLOCK 50u
/* Fills values of `count` samples from k on. Much faster than one by one. */
void signal_values(const scenario_channel *ch, uint64_t signal, uint64_t k, uint32_t count,
                   int32_t *values);
void signal_alarm(const scenario_channel *ch, uint64_t signal, uint64_t k, htel_alarm_event *event);

/* When number k is due (of waveforms: was taken), ms of the run; rises with k. */
int64_t signal_due_ms(const scenario_channel *ch, uint64_t signal, uint64_t k);
/* One record call takes samples from k up to here: within one quality and one burst. */
uint64_t signal_block_end(const scenario_channel *ch, uint64_t k);
/* Of the burst under way at `ms`: its first number, and one beyond the last. Without bursts all is
 * one. */
uint64_t signal_burst_at(const scenario_channel *ch, int64_t ms, uint64_t *end);
/* The first number due at or after `ms`. */
uint64_t signal_first_at(const scenario_channel *ch, uint64_t signal, int64_t ms);

#endif
