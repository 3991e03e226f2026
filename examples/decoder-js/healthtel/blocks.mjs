// SPDX-License-Identifier: Apache-2.0
// Readings as blocks: docs/FORMAT.md, "Frame data" and "Series".
import { ALARM, WAVEFORM } from './birth.mjs';
import { Cursor, bad, unzigzag32 } from './wire.mjs';

export const READINGS_MAX = 512;
const QUALITY_MAX = 7;

const MODE_ZERO = 0, MODE_RICE = 1, MODE_BYTES = 2;
const PARTITION = 32;
const RAW_PARAMETER = 31;
const ONES_MAX = 24;
const BYTE_ESCAPE = 255;

export function checkTick(tick) {
  if (tick < 0 || tick > Number.MAX_SAFE_INTEGER) throw bad('a tick that no clock has');
  return tick;
}

// ---- Series of numbers ----------------------------------------------------------------------

// Bits out of a cursor's bytes, the first one in bit 7.
class Bits {
  constructor(cursor) {
    this.cursor = cursor;
    this.held = 0; // bits taken from the cursor and not used yet, below `count`
    this.count = 0;
  }

  take(count) { // up to 24
    while (this.count < count) {
      this.held = this.held << 8 | this.cursor.byte();
      this.count += 8;
    }
    this.count -= count;
    const value = this.held >>> this.count;
    this.held &= (1 << this.count) - 1;
    return value;
  }

  take32(count) {
    if (count <= 16) return this.take(count);
    return (this.take(count - 16) << 16 | this.take(16)) >>> 0;
  }

  // Ones up to a zero, which is taken too; or so many at most, and no zero then.
  ones(most) {
    let count = 0;
    while (count < most && this.take(1) === 1) count++;
    return count;
  }

  close() {
    if (this.held !== 0) throw bad('padding that is not zero');
  }
}

function riceCodes(cursor, codes) {
  const bits = new Bits(cursor);
  let k;
  for (let i = 0; i < codes.length; i++) {
    if (i % PARTITION === 0) k = bits.take(5);
    const ones = k === RAW_PARAMETER ? ONES_MAX : bits.ones(ONES_MAX);
    const code = ones === ONES_MAX ? bits.take32(32) : ones * 2 ** k + bits.take32(k);
    if (code > 0xffffffff) throw bad('a residual over 32 bits');
    codes[i] = code;
  }
  bits.close();
}

function byteCodes(cursor, codes) {
  for (let i = 0; i < codes.length; i++) {
    let code = cursor.byte();
    if (code === BYTE_ESCAPE) code += cursor.varint();
    if (code > 0xffffffff) throw bad('a residual over 32 bits');
    codes[i] = code;
  }
}

function readSeries(cursor, count) {
  const mode = cursor.byte();
  const order = mode & 3, how = mode >> 2;
  if (how > MODE_BYTES) throw bad('a way to write residuals that does not exist');
  const values = new Int32Array(count);
  values[0] = cursor.signed();
  const codes = new Uint32Array(count - 1);
  if (how === MODE_RICE) riceCodes(cursor, codes);
  else if (how !== MODE_ZERO) byteCodes(cursor, codes);
  for (let i = 1; i < count; i++) {
    let predicted = values[0];
    const q = Math.min(i, order);
    if (q === 1) predicted = values[i - 1];
    else if (q === 2) predicted = 2 * values[i - 1] - values[i - 2];
    else if (q === 3) predicted = 3 * (values[i - 1] - values[i - 2]) + values[i - 3];
    values[i] = predicted + unzigzag32(codes[i - 1]); // the array takes it modulo 2^32
  }
  return values;
}

function readQuality(cursor, quality) {
  for (let done = 0; done < quality.length;) {
    const run = cursor.varint(), value = cursor.byte();
    if (run === 0 || run > quality.length - done || value > QUALITY_MAX) {
      throw bad('a run of qualities that cannot be');
    }
    quality.fill(value, done, done + run);
    done += run;
  }
}

// ---- Blocks ---------------------------------------------------------------------------------

// a / b rounded down, exact up to 53 bits: the division has no rest to round.
const quotient = (a, b) => (a - a % b) / b;

// Where `count` samples are whose first is at tick + phase / rateNum.
export function waveTicks(tick, phase, channel, count) {
  const ticks = new Float64Array(count);
  const period = 1000 * channel.rateDen;
  for (let i = 0; i < count; i++) ticks[i] = tick + quotient(phase + i * period, channel.rateNum);
  checkTick(ticks[count - 1]);
  return ticks;
}

// The place of the sample after `count` of them.
export function waveEnd(tick, phase, channel, count) {
  const moved = phase + count * 1000 * channel.rateDen;
  return {
    tick: checkTick(tick + quotient(moved, channel.rateNum)),
    phase: moved % channel.rateNum,
  };
}

function readWave(cursor, series, channel, flags, frameTick, ends) {
  const { count } = series;
  let place = ends.get(series.channel);
  if (flags & 1) {
    place = { tick: checkTick(frameTick + cursor.signed64()), phase: cursor.varint() };
    if (place.phase >= channel.rateNum) throw bad('a phase of a whole period or more');
  } else if (!place) {
    throw bad('a block that continues nothing');
  }
  series.phase = place.phase;
  series.continues = !(flags & 1);
  series.ticks = waveTicks(place.tick, place.phase, channel, count);
  ends.set(series.channel, waveEnd(place.tick, place.phase, channel, count));
  if (flags & 2) readQuality(cursor, series.quality);
  series.values = readSeries(cursor, count);
}

function readNumeric(cursor, series, flags, frameTick) {
  const { count } = series;
  const regular = flags & 1;
  if (regular && count === 1) throw bad('one reading cannot be regular');
  const ticks = series.ticks = new Float64Array(count);
  ticks[0] = checkTick(frameTick + cursor.signed64());
  const interval = regular ? cursor.signed() : 0;
  const steps = !regular && count > 1 ? readSeries(cursor, count - 1) : null;
  for (let i = 1; i < count; i++) {
    ticks[i] = checkTick(ticks[i - 1] + (steps ? steps[i - 1] : interval));
  }
  if (flags & 2) readQuality(cursor, series.quality);
  series.values = readSeries(cursor, count);
}

function readAlarms(cursor, series, channelCount, flags, frameTick) {
  if (flags !== 0) throw bad('reserved bits of an alarm block');
  series.ticks = new Float64Array(series.count);
  series.values = new Int32Array(series.count);
  series.alarms = [];
  for (let i = 0; i < series.count; i++) {
    series.ticks[i] = checkTick(frameTick + cursor.signed64());
    const code = cursor.varint(), bits = cursor.byte(), source = cursor.varint();
    if (bits > 0x1f || source > channelCount) {
      throw bad('reserved bits of an alarm, or a source that is no channel');
    }
    series.alarms.push({
      code,
      state: bits & 3,
      priority: bits >> 2 & 3,
      latched: bits >> 4 === 1,
      source: source === 0 ? null : source - 1,
    });
  }
}

// All series of a frame's data, which has been inflated.
export function* readBlocks(data, frameTick, birth) {
  const cursor = new Cursor(data);
  const ends = new Map(); // channel -> where its last block of samples ended
  while (cursor.left() > 0) {
    const number = cursor.varint();
    if (number >= birth.channels.length) throw bad('a channel that is not in the birth');
    const channel = birth.channels[number];
    const head = cursor.varint();
    const count = (head >>> 2) + 1, flags = head & 3;
    if (count > READINGS_MAX) throw bad(`a block of more than ${READINGS_MAX} readings`);
    const series = {
      channel: number,
      kind: channel.kind,
      count,
      ticks: null, // ms since boot, rounded down
      values: null,
      quality: new Uint8Array(count),
      phase: 0, // waveforms: sample 0 is at exactly ticks[0] + phase / rateNum ms
      continues: false, // waveforms: where the channel's series before, in this frame, ended
      alarms: null,
    };
    if (channel.kind === WAVEFORM) readWave(cursor, series, channel, flags, frameTick, ends);
    else if (channel.kind === ALARM) {
      readAlarms(cursor, series, birth.channels.length, flags, frameTick);
    } else readNumeric(cursor, series, flags, frameTick);
    yield series;
  }
}
