// SPDX-License-Identifier: Apache-2.0
// Capture files: births and frames as they travelled. docs/FORMAT.md, "Capture files".
import { MESSAGE_BYTES_MAX } from './birth.mjs';
import { Cursor, DecodeError, WIRE_BYTES, bad, fields } from './wire.mjs';

const LENGTH_BYTES = 4;
const LENGTH_MAX = MESSAGE_BYTES_MAX + 64; // a message and whose it is
const DEVICE_CHARS_MAX = 36;
const DEVICE = /^[A-Za-z0-9_-]{1,36}$/;
const FIELD_DEVICE = 1, FIELD_BIRTH = 2, FIELD_FRAME = 3;

function readEntry(bytes) {
  let device = null, body = null, isFrame = false;
  for (const [number, wire, value] of fields(bytes)) {
    if (wire !== WIRE_BYTES) continue;
    if (number === FIELD_DEVICE) {
      device = String.fromCharCode(...value.subarray(0, DEVICE_CHARS_MAX + 1));
      if (!DEVICE.test(device)) throw bad('a device of another name than devices have');
    } else if (number === FIELD_BIRTH || number === FIELD_FRAME) {
      body = value;
      isFrame = number === FIELD_FRAME;
    }
  }
  if (!body || !device) throw bad('neither a birth nor a frame of a device');
  return { device, isFrame, bytes: body };
}

function readLength(cursor) {
  const start = cursor.at;
  const length = cursor.varint();
  if (cursor.at - start > LENGTH_BYTES || length > LENGTH_MAX) throw bad('a length that cannot be');
  return cursor.take(length);
}

// Every message of a capture that can be read: {offset, device, isFrame, bytes}. What is damaged
// goes to tell(offset, why) and is passed over; a length that is damaged ends it all, for nothing
// says where the next message is.
export function* entries(bytes, tell) {
  const cursor = new Cursor(bytes);
  for (let begun = false; cursor.left() > 0; begun = true) {
    const offset = cursor.at;
    let length, entry;
    try {
      length = readLength(cursor);
      entry = readEntry(length);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      if (length === undefined || !begun) {
        tell(offset, 'no capture from here on; the rest is not read');
        return;
      }
      tell(offset, 'a damaged message, passed over');
      continue;
    }
    yield { offset, ...entry };
  }
}
