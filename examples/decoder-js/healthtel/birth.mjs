// SPDX-License-Identifier: Apache-2.0
// Births: what a device measures. docs/FORMAT.md, "Birth".
import { DecodeError, WIRE_VARINT, bad, crc32, fields, message } from './wire.mjs';

export const NUMERIC = 0, WAVEFORM = 1, ALARM = 2;

export const MESSAGE_BYTES_MAX = 61440;
const CHANNELS_MAX = 64;
const RATE_PART_MAX = 1000000;
const EXPONENT_MAX = 12;

const BIRTH = {
  1: ['format', 'uint32', 1],
  2: ['firmware', 'text31', 1],
  3: ['channels', 'bytes', CHANNELS_MAX],
};
const CHANNEL = {
  1: ['code', 'uint32', 1],
  2: ['index', 'uint8', 1],
  3: ['kind', 'uint32', 1],
  4: ['name', 'text31', 1],
  5: ['unit', 'text15', 1],
  6: ['rateNum', 'uint32', 1],
  7: ['rateDen', 'uint32', 1],
  8: ['gain', 'sint32', 1],
  9: ['offset', 'sint32', 1],
  10: ['exponent', 'sint32', 1],
};

// The physical value of a reading is (value - offset) / gain * 10**exponent, in `unit`.
function decodeChannel(bytes) {
  const c = message(bytes, CHANNEL);
  if (c.kind > ALARM) throw bad('a kind of channel that does not exist');
  if (c.kind === ALARM ? c.rateNum !== 0 : c.kind === WAVEFORM && c.rateNum === 0) {
    throw bad('a waveform without a rate, or alarms with one');
  }
  if (c.kind !== ALARM && Math.max(c.rateNum, c.rateDen) > RATE_PART_MAX) {
    throw bad('a rate is out of range');
  }
  if (Math.abs(c.exponent) > EXPONENT_MAX) throw bad('an exponent is out of range');
  return { ...c, unit: c.unit || '1', rateDen: c.rateDen || 1, gain: c.gain || 1 };
}

// {schema, firmware, channels}. Throws a DecodeError.
export function decodeBirth(bytes) {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new DecodeError('too_large', 'larger than a birth may be');
  }
  const first = fields(bytes).next().value;
  if (!first || first[0] !== 1 || first[1] !== WIRE_VARINT || first[2] > 0xffffffffn) {
    throw bad('this does not begin with a format');
  }
  if (first[2] > 1n) {
    throw new DecodeError('version', 'a format that is newer than this decoder');
  }
  const b = message(bytes, BIRTH);
  const channels = b.channels.map(decodeChannel);
  if (b.format !== 1 || channels.length === 0) throw bad('no format, or no channel');
  if (new Set(channels.map((c) => `${c.code} ${c.index}`)).size < channels.length) {
    throw bad('two channels of one code and index');
  }
  return { schema: crc32(bytes), firmware: b.firmware, channels };
}
