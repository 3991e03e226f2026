// SPDX-License-Identifier: Apache-2.0
// The range coder's reading half: docs/FORMAT.md, "Range coder".
import { bad, unzigzag32 } from './wire.mjs';

const BOTTOM = 0x1000000;
const PART_BITS = 16; // a symbol's bits at most
const ZEROS_MAX = 4; // behind the end of the stream
const FLAG_BITS = 12;
const FLAG_FIRST = 2048, FLAG_HIGH = 4064, FLAG_LOW = 32, FLAG_SHIFT = 3;

export class RangeIn {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.zeros = 0;
    this.code = 0;
    this.range = 0xffffffff;
    for (let i = 0; i < 4; i++) this.code = (this.code << 8 | this.next()) >>> 0;
  }

  next() {
    if (this.at < this.bytes.length) return this.bytes[this.at++];
    if (++this.zeros > ZEROS_MAX) throw bad('cut short');
    return 0;
  }

  find(bits) {
    const place = Math.floor(this.code / (this.range >>> bits));
    return Math.min(place, (1 << bits) - 1);
  }

  take(below, share, bits) {
    const unit = this.range >>> bits;
    const before = below * unit;
    let code = this.code - before;
    let range = below + share === 1 << bits ? this.range - before : share * unit;
    while (range < BOTTOM) {
      range *= 256;
      code = (code << 8 | this.next()) >>> 0;
    }
    this.code = code;
    this.range = range;
  }

  bits(count) {
    if (count > PART_BITS) {
      const high = this.bits(count - PART_BITS);
      return high * 65536 + this.bits(PART_BITS);
    }
    if (count === 0) return 0;
    const value = this.find(count);
    this.take(value, 1, count);
    return value;
  }

  bit() {
    return this.bits(1) === 1;
  }

  number(usual) {
    let bits = usual;
    while (this.bits(1) === 1) {
      if (++bits > 32) throw bad('a number over 32 bits');
    }
    const value = 2 ** bits + this.bits(bits) - 2 ** usual;
    if (value > 0xffffffff) throw bad('a number over 32 bits');
    return value;
  }

  signed(usual) {
    return unzigzag32(this.number(usual));
  }

  // `flag` is made by newFlag().
  flag(flag) {
    const { p } = flag;
    if (this.find(FLAG_BITS) < p) {
      this.take(0, p, FLAG_BITS);
      flag.p = p + (FLAG_HIGH - p >> FLAG_SHIFT);
      return true;
    }
    this.take(p, (1 << FLAG_BITS) - p, FLAG_BITS);
    flag.p = p - (p - FLAG_LOW >> FLAG_SHIFT);
    return false;
  }

  close() {
    if (this.at < this.bytes.length) throw bad('bytes behind the columns');
  }
}

// A flag that learns how likely it is.
export const newFlag = () => ({ p: FLAG_FIRST });
