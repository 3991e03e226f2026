// SPDX-License-Identifier: Apache-2.0
// Frames as envelopes: who, when, by which birth, and which bytes hold the readings.
// docs/FORMAT.md, "Frame".
import { MESSAGE_BYTES_MAX } from './birth.mjs';
import { DecodeError, bad, crc32, fields, message } from './wire.mjs';

export const CLASS_NUMERIC = 0, CLASS_WAVEFORM = 1, CLASS_ALARM = 2;
export const CAUSE_RING_FULL = 1, CAUSE_OUTBOX_FULL = 2, CAUSE_UNCLEAN_STOP = 3;

const ANCHORS_MAX = 8;
const LOSSES_MAX = 16;
const INFLATED_BYTES_MAX = 65536;
const CRC_TAG = 0x7d;
const CRC_FIELD_BYTES = 5;
const FIELD_DATA = 8, FIELD_ENCRYPTION = 12, FIELD_COLUMNS = 13, FIELD_CRC = 15;

const FRAME = {
  1: ['boot', 'uint64', 1],
  2: ['sequence', 'uint32', 1],
  3: ['frameClass', 'uint32', 1],
  4: ['tick', 'uint53', 1],
  5: ['schema', 'fixed32', 1],
  6: ['coding', 'uint32', 1], // of data: 0 stored, 1 deflated
  7: ['dataSize', 'uint32', 1], // after inflating
  8: ['data', 'bytes', 1], // blocks
  9: ['session', 'uint64', 1],
  10: ['anchors', 'bytes', ANCHORS_MAX],
  11: ['losses', 'bytes', LOSSES_MAX],
  13: ['columns', 'bytes', 1], // or columns; null: none
};
const ANCHOR = {
  1: ['tick', 'uint53', 1],
  2: ['utcMs', 'sint53', 1],
  3: ['uncertaintyMs', 'uint32', 1],
};
const LOSS = {
  1: ['cause', 'uint8', 1],
  2: ['boot', 'uint64', 1],
  3: ['channel', 'uint8', 1],
  4: ['frameClass', 'uint8', 1],
  5: ['sequenceFirst', 'uint32', 1],
  6: ['sequenceLast', 'uint32', 1],
  7: ['tickFirst', 'uint53', 1],
  8: ['tickLast', 'uint53', 1],
  9: ['readings', 'uint53', 1],
  10: ['atMost', 'bool', 1],
  11: ['frames', 'uint32', 1],
  12: ['id', 'uint32', 1],
  13: ['bootLast', 'uint64', 1],
};

// Finds what a reader of protobuf would step over, and must not. True: there are columns.
function checkFields(bytes) {
  const found = [];
  for (const [number] of fields(bytes)) {
    if (number === FIELD_ENCRYPTION) {
      throw new DecodeError('unsupported', 'the frame is encrypted');
    }
    if (number >= FIELD_CRC) throw bad("a field at or behind the checksum's number");
    if (number === FIELD_DATA || number === FIELD_COLUMNS) found.push(number);
  }
  if (found.length > 1) throw bad('data twice, or data and columns');
  return found[0] === FIELD_COLUMNS;
}

function decodeLoss(bytes, frameBoot) {
  const loss = message(bytes, LOSS);
  loss.boot = loss.boot || frameBoot;
  if (loss.cause !== CAUSE_OUTBOX_FULL) return loss;
  if (loss.sequenceFirst < 1 || loss.sequenceFirst > loss.sequenceLast) {
    throw bad('a range of lost frames that is none');
  }
  if (loss.frames > loss.sequenceLast - loss.sequenceFirst + 1) {
    throw bad('more lost frames than their range has');
  }
  return loss;
}

// The frame less its checksum, which holds.
function withoutCrc(bytes) {
  const end = bytes.length - CRC_FIELD_BYTES;
  if (end < 0 || bytes[end] !== CRC_TAG) throw bad('no checksum at the end');
  const [a, b, c, d] = bytes.subarray(end + 1);
  const inside = bytes.subarray(0, end);
  if (crc32(inside) !== (a | b << 8 | c << 16 | d << 24) >>> 0) {
    throw new DecodeError('crc', 'the checksum does not match');
  }
  return inside;
}

// Coding and data must agree.
function checkCoding({ coding, dataSize, data, columns }, hasColumns) {
  if (coding > 1) {
    throw new DecodeError('unsupported', 'a coding that is newer than this decoder');
  }
  if (hasColumns && (coding !== 0 || columns.length === 0)) {
    throw bad('columns that are deflated, or of no bytes');
  }
  if (coding === 0 && dataSize !== 0) throw bad('a size of data that is not deflated');
  if (coding === 1 && (dataSize < 1 || dataSize > INFLATED_BYTES_MAX || data.length === 0)) {
    throw bad('deflated data of no size, or of too much');
  }
}

// The frame in these bytes (a Uint8Array) without its readings: those are read by readings().
// Throws a DecodeError.
export function decodeFrame(bytes) {
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new DecodeError('too_large', 'larger than a frame may be');
  }
  const inside = withoutCrc(bytes);
  const hasColumns = checkFields(inside);
  const f = message(inside, FRAME);
  if (f.sequence === 0 || f.frameClass > CLASS_ALARM) {
    throw bad('a sequence or a class that does not exist');
  }
  checkCoding(f, hasColumns);
  if (!hasColumns) f.columns = null;
  f.anchors = f.anchors.map((anchor) => message(anchor, ANCHOR));
  f.losses = f.losses.map((loss) => decodeLoss(loss, f.boot));
  return f;
}
