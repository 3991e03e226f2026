// SPDX-License-Identifier: Apache-2.0
// Readings as columns: docs/FORMAT.md, "Columns".
import { ALARM, NUMERIC } from './birth.mjs';
import { READINGS_MAX, checkTick, waveEnd, waveTicks } from './blocks.mjs';
import { RangeIn, newFlag } from './ranges.mjs';
import { FIXED, Mixture, ORDERS, ORDER_MAX, OTHERS, Predictor, SCALE_MAX } from './steps.mjs';
import { bad } from './wire.mjs';

const COUNT_MAX = 32768;
const RUNS_MAX = 32;
const SEGMENT_STEPS = 4096;
const NOMINAL_MAX = 2 ** 30;
const NO_VALUE = 4;

// Bits that numbers usually have.
const USUAL_COUNT_NUMERIC = 4, USUAL_COUNT_WAVEFORM = 9;
const USUAL_FIRST = 10, USUAL_TICK = 9, USUAL_FORM = 1, USUAL_SCALE = 3, USUAL_DIVISOR = 2;
const USUAL_FACTOR_LESS = 3; // than the precision

// ---- Series ---------------------------------------------------------------------------------

function readFactors(coder, precision, count) {
  const limit = 2 ** (precision + 4);
  return Array.from({ length: count }, () => {
    const factor = coder.signed(precision - USUAL_FACTOR_LESS);
    if (Math.abs(factor) >= limit) throw bad('a factor is out of range');
    return factor;
  });
}

function readPredictor(coder, hasOther) {
  const form = coder.number(USUAL_FORM);
  if (form >= ORDERS.length) throw bad('a form of predictor that does not exist');
  const predictor = new Predictor(form);
  if (form < FIXED.length) return predictor;
  predictor.precision = 6 + 2 * coder.bits(2);
  predictor.factors = readFactors(coder, predictor.precision, ORDERS[form]);
  if (hasOther && coder.bit()) predictor.other = readFactors(coder, predictor.precision, OTHERS);
  return predictor;
}

// Steps as they stand in the stream, behind ORDER_MAX zeros from before the first one; `other` has
// such steps of the other, or is null.
function readSteps(coder, count, isNumeric, other) {
  const segments = Math.ceil(count / SEGMENT_STEPS);
  const steps = new Int32Array(ORDER_MAX + count);
  let predictor, mixture;
  for (let s = 0, at = ORDER_MAX; s < segments; s++) {
    if (s === 0 || coder.bit()) predictor = readPredictor(coder, other !== null);
    if (s === 0) {
      const scale = coder.number(USUAL_SCALE);
      if (scale > SCALE_MAX) throw bad('a scale is out of range');
      mixture = new Mixture(scale, predictor.form !== 0, isNumeric);
    }
    for (const end = ORDER_MAX + Math.floor(count * (s + 1) / segments); at < end; at++) {
      steps[at] = mixture.read(coder, predictor.step(steps, other, at));
    }
  }
  return steps;
}

// The series' numbers and steps.
function readSeries(coder, count, isNumeric, other) {
  const values = new Int32Array(count);
  let steps = new Int32Array(ORDER_MAX + count - 1), divisor = 1;
  values[0] = coder.signed(USUAL_FIRST);
  if (count === 1) return { values, steps };
  if (coder.bit()) {
    if (coder.bit()) return { values: values.fill(values[0]), steps };
    divisor = coder.number(USUAL_DIVISOR) + 2;
    if (divisor > 0x7fffffff) throw bad('a divisor is out of range');
  }
  steps = readSteps(coder, count - 1, isNumeric, other);
  for (let i = 1; i < count; i++) {
    values[i] = values[i - 1] + Math.imul(steps[ORDER_MAX + i - 1], divisor); // modulo 2^32
  }
  return { values, steps };
}

// The values of those readings that have one.
function readValues(coder, column, isNumeric, before) {
  const isAbsent = (i) => isNumeric && column.quality[i] === NO_VALUE;
  column.coded = 0;
  for (let i = 0; i < column.count; i++) if (!isAbsent(i)) column.coded++;
  if (column.coded === 0) return;
  const together = before?.count === column.count && before.coded === column.coded;
  const { values, steps } = readSeries(coder, column.coded, isNumeric,
    together ? before.steps : null);
  column.steps = steps;
  for (let i = 0, k = 0; i < column.count; i++) if (!isAbsent(i)) column.values[i] = values[k++];
}

// ---- Times and qualities --------------------------------------------------------------------

function nominalInterval(channel) {
  if (channel.rateNum === 0 || 1000 * channel.rateDen % channel.rateNum !== 0) return 0;
  const interval = 1000 * channel.rateDen / channel.rateNum;
  return interval <= NOMINAL_MAX ? interval : 0;
}

function readQualities(coder, column, before) {
  const valid = [[newFlag(), newFlag()], [newFlag(), newFlag()]];
  const same = newFlag(), sameValue = newFlag();
  let wasValid = true, last = NO_VALUE;
  for (let i = 0; i < column.count; i++) {
    const otherValid = before ? before.quality[i] === 0 : true;
    wasValid = coder.flag(valid[+wasValid][+otherValid]);
    if (wasValid) continue;
    if (!coder.flag(same)) last = coder.bits(3);
    if (last === 0) throw bad('a reading that is not valid is called valid');
    column.quality[i] = last;
  }
  last = 0;
  for (let i = 0; i < column.count; i++) {
    if (column.quality[i] !== NO_VALUE) continue;
    if (!coder.flag(sameValue)) last = coder.bits(32);
    column.values[i] = last;
  }
}

function readNumeric(coder, column, channel, before) {
  const { count } = column;
  const pair = before?.count === count ? before : null;
  const nominal = nominalInterval(channel);
  const expected = pair?.interval ?? nominal;
  const ticks = column.ticks = new Float64Array(count);
  let hasQuality = false, steps = null;
  column.interval = expected;
  if (coder.bit()) {
    hasQuality = coder.bit();
    ticks[0] = coder.signed(1);
    if (count > 1 && coder.bit()) {
      column.interval = null;
      steps = readSeries(coder, count - 1, true, null).values;
    } else if (count > 1) {
      column.interval = (expected + coder.signed(1)) | 0;
    }
  }
  for (let i = 1; i < count; i++) {
    ticks[i] = ticks[i - 1] + (steps ? steps[i - 1] + nominal : column.interval);
  }
  if (hasQuality) readQualities(coder, column, pair);
  readValues(coder, column, true, before);
}

// How many runs there are; more than RUNS_MAX are refused.
function readRunCount(coder, count) {
  const runs = coder.number(0) + 1;
  if (runs > Math.min(RUNS_MAX, count)) throw bad('too many runs');
  return runs;
}

// The length of a run that is not the last one: it leaves something for those to come.
function readLength(coder, left) {
  const length = coder.number(USUAL_COUNT_WAVEFORM);
  if (length < 1 || length >= left) throw bad('a run that is empty, or longer than what is left');
  return length;
}

function readRuns(coder, column, channel) {
  const runs = readRunCount(coder, column.count);
  column.runs = [];
  for (let i = 0, begin = 0; i < runs; i++) {
    if (i > 0) begin += readLength(coder, column.count - begin);
    const tick = coder.signed(USUAL_TICK), phase = coder.number(0);
    if (phase >= channel.rateNum) throw bad('a phase of a whole period or more');
    column.runs.push({ begin, tick, phase });
  }
}

function readWaveQualities(coder, column) {
  const runs = readRunCount(coder, column.count);
  for (let i = 0, begin = 0; i < runs; i++) {
    const quality = coder.bits(3), left = column.count - begin;
    const length = i === runs - 1 ? left : readLength(coder, left);
    column.quality.fill(quality, begin, begin + length);
    begin += length;
  }
}

function readWave(coder, column, channel, before) {
  column.runs = [{ begin: 0, tick: 0, phase: 0 }];
  if (coder.bit()) {
    readRuns(coder, column, channel);
    if (coder.bit()) readWaveQualities(coder, column);
  }
  readValues(coder, column, false, before);
}

// ---- The whole ------------------------------------------------------------------------------

// One series of a column: `count` readings from `at`.
function seriesOf(column, channel, at, count, ticks) {
  return {
    channel: column.channel,
    kind: channel.kind,
    count,
    ticks,
    values: column.values.subarray(at, at + count),
    quality: column.quality.subarray(at, at + count),
    phase: 0,
    continues: false,
    alarms: null,
  };
}

function* numericSeries(column, channel, frameTick) {
  for (let at = 0; at < column.count; at += READINGS_MAX) {
    const ticks = column.ticks.slice(at, at + READINGS_MAX)
      .map((tick) => checkTick(frameTick + tick));
    yield seriesOf(column, channel, at, ticks.length, ticks);
  }
}

function* waveSeries(column, channel, frameTick) {
  for (const [i, run] of column.runs.entries()) {
    const end = column.runs[i + 1]?.begin ?? column.count;
    let place = { tick: checkTick(frameTick + run.tick), phase: run.phase };
    for (let at = run.begin; at < end; at += READINGS_MAX) {
      if (at > run.begin) place = waveEnd(place.tick, place.phase, channel, READINGS_MAX);
      const count = Math.min(end - at, READINGS_MAX);
      const ticks = waveTicks(place.tick, place.phase, channel, count);
      const series = seriesOf(column, channel, at, count, ticks);
      yield { ...series, phase: place.phase, continues: at > run.begin };
    }
  }
}

// All series of a frame's columns, at most READINGS_MAX readings each, as blocks have.
export function* readColumns(bytes, frameTick, birth) {
  const coder = new RangeIn(bytes);
  const columns = coder.number(0) + 1;
  if (columns > birth.channels.length) throw bad('more columns than channels');
  let least = 0, before = null;
  for (let i = 0; i < columns; i++) {
    const number = least + coder.number(0);
    const channel = birth.channels[number];
    if (!channel || channel.kind === ALARM) {
      throw bad('a column of a channel that is not in the birth, or of alarms');
    }
    least = number + 1;
    const isNumeric = channel.kind === NUMERIC;
    const usual = isNumeric ? USUAL_COUNT_NUMERIC : USUAL_COUNT_WAVEFORM;
    const count = before === null || coder.bit() ? coder.number(usual) + 1 : before.count;
    if (count > COUNT_MAX) throw bad(`a column of more than ${COUNT_MAX} readings`);
    const column = {
      channel: number,
      count,
      interval: null, // of numerics, where it is regular
      ticks: null, // of numerics, less the frame's
      runs: null, // of waveforms
      quality: new Uint8Array(count),
      values: new Int32Array(count),
      coded: 0, // how many values are coded: not those that are absent
      steps: null, // between them
    };
    (isNumeric ? readNumeric : readWave)(coder, column, channel, before);
    yield* (isNumeric ? numericSeries : waveSeries)(column, channel, frameTick);
    before = column;
  }
  coder.close();
}
