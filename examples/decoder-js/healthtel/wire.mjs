// SPDX-License-Identifier: Apache-2.0
// Bytes, varints and protobuf messages. Nothing that is read here is trusted.
//
// Numbers are plain numbers where 53 bits hold all that a device can mean (times and counts; more
// is refused), and BigInts where all 64 bits are used (boots and sessions, which may be random).

// What was wrong with a message. `kind` is one of the words in docs/FORMAT.md's table of errors:
// format, too_large, crc, unsupported, schema, version.
export class DecodeError extends Error {
  constructor(kind, why) {
    super(why);
    this.name = 'DecodeError';
    this.kind = kind;
  }
}

export const bad = (why) => new DecodeError('format', why);

const MASK_64 = (1n << 64n) - 1n;

export const unzigzag32 = (code) => (code >>> 1) ^ -(code & 1);
const unzigzag = (code) => (code & 1n ? -(code >> 1n) - 1n : code >> 1n);

// A BigInt as a number, where that is exact.
export function exact(value) {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw bad('a number of more than 53 bits');
  }
  return Number(value);
}

// Goes through bytes from the front. Reading past the end throws.
export class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  left() {
    return this.bytes.length - this.at;
  }

  byte() {
    if (this.at >= this.bytes.length) throw bad('cut short');
    return this.bytes[this.at++];
  }

  take(count) {
    if (count > this.left()) throw bad('cut short');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  // A varint of up to 64 bits, as a BigInt.
  varint64() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > MASK_64) break;
        return value;
      }
    }
    throw bad('a number over 64 bits');
  }

  // A varint of up to 32 bits. Most are short.
  varint() {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.at -= 4;
    const long = this.varint64();
    if (long > 0xffffffffn) throw bad('a number over 32 bits');
    return Number(long);
  }

  signed() {
    return unzigzag32(this.varint());
  }

  // Up to 53 bits.
  signed64() {
    return exact(unzigzag(this.varint64()));
  }
}

// ---- Protobuf -------------------------------------------------------------------------------

const WIRE_64 = 1, WIRE_32 = 5;
export const WIRE_VARINT = 0, WIRE_BYTES = 2;

// How the value of each type is made out of what the wire has.
const unsigned = (bits) => (value) => {
  if (value >> BigInt(bits)) throw bad(`a number over ${bits} bits`);
  return Number(value);
};
const text = (charsMax) => (value) => {
  if (value.length > charsMax) {
    throw new DecodeError('too_large', `a text of more than ${charsMax} characters`);
  }
  if (value.some((byte) => byte < 0x20 || byte > 0x7e)) {
    throw bad('a character that is not printable ASCII');
  }
  return String.fromCharCode(...value);
};
const TYPES = {
  uint8: { wire: WIRE_VARINT, make: unsigned(8) },
  uint32: { wire: WIRE_VARINT, make: unsigned(32) },
  uint53: { wire: WIRE_VARINT, make: exact },
  uint64: { wire: WIRE_VARINT, make: (value) => value, none: 0n },
  sint32: { wire: WIRE_VARINT, make: (value) => unzigzag32(unsigned(32)(value)) },
  sint53: { wire: WIRE_VARINT, make: (value) => exact(unzigzag(value)) },
  bool: { wire: WIRE_VARINT, make: (value) => unsigned(32)(value) !== 0, none: false },
  fixed32: { wire: WIRE_32, make: (value) => value },
  bytes: { wire: WIRE_BYTES, make: (value) => value, none: new Uint8Array(0) },
  text15: { wire: WIRE_BYTES, make: text(15), none: '' },
  text31: { wire: WIRE_BYTES, make: text(31), none: '' },
};

// [field number, wire type, value] of each field of a message. A value is a BigInt (varint), a
// number (32 bits) or bytes.
export function* fields(bytes) {
  const cursor = new Cursor(bytes);
  while (cursor.left() > 0) {
    const tag = cursor.varint();
    const number = tag >>> 3, wire = tag & 7;
    if (number === 0) throw bad('a field with number 0');
    if (wire === WIRE_VARINT) {
      yield [number, wire, cursor.varint64()];
    } else if (wire === WIRE_BYTES) {
      yield [number, wire, cursor.take(cursor.varint())];
    } else if (wire === WIRE_32) {
      const [a, b, c, d] = cursor.take(4);
      yield [number, wire, (a | b << 8 | c << 16 | d << 24) >>> 0];
    } else if (wire === WIRE_64) {
      yield [number, wire, cursor.take(8)];
    } else {
      throw bad('a field of a wire type that does not exist');
    }
  }
}

// Reads a message by a table: number -> [name, type, how often at most]. What occurs more than once
// becomes an array. Fields that the table does not have are stepped over.
export function message(bytes, table) {
  const result = {};
  for (const [name, type, most] of Object.values(table)) {
    result[name] = most > 1 ? [] : TYPES[type].none ?? 0;
  }
  for (const [number, wire, value] of fields(bytes)) {
    if (!(number in table)) continue;
    const [name, type, most] = table[number];
    if (wire !== TYPES[type].wire) throw bad(`${name} is of another wire type`);
    const made = TYPES[type].make(value);
    if (most === 1) {
      result[name] = made;
    } else if (result[name].length === most) {
      throw new DecodeError('too_large', `more than ${most} ${name}`);
    } else {
      result[name].push(made);
    }
  }
  return result;
}

// ---- CRC-32 ---------------------------------------------------------------------------------

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

export function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}
