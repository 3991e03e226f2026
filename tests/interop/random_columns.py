#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""random_columns.py DECODER_PY SEED FRAMES OUT.htel - frames whose columns no encoder would write.

The decoder is run with a range coder that makes up what it is asked for, and writes that down. So
what comes out is well formed, and strange: any predictors, waveforms after numerics, steps out of
all bounds. Now and then it breaks a rule, and makes a frame all the same, to be refused by all
alike."""

import random
import sys
import zlib

sys.path.insert(0, sys.argv[1])
from healthtel import DecodeError, decode_birth  # noqa: E402
from healthtel.columns import read_columns  # noqa: E402
from healthtel.ranges import BOTTOM, RangeIn  # noqa: E402
from healthtel import columns as columns_module  # noqa: E402

COLUMNS_BYTES_MAX = 6000
KINDS = (0, 1, 1, 0, 0, 2, 1, 0)
RATES = ((1, 1), (360, 1), (1000, 3), (0, 1), (1, 3), (0, 1), (2000, 1), (7, 1))
TICK = 1 << 33


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value


def make_birth():
    birth = field(1, 1)
    for i, (kind, (num, den)) in enumerate(zip(KINDS, RATES)):
        birth += field(3, field(1, 100 + i) + field(3, kind) + field(4, b"C%d" % i)
                       + field(6, num) + field(7, den if num else 0))
    return birth


def make_frame(schema, sequence, columns):
    frame = (field(1, 5) + field(2, sequence) + field(4, TICK)
             + b"\x2d" + schema.to_bytes(4, "little") + field(13, columns))
    return frame + b"\x7d" + zlib.crc32(frame).to_bytes(4, "little")


class Maker(RangeIn):
    """A reader of what it writes. `low` is the lowest number of the interval, with all bytes that
    have left still on top of it."""

    def __init__(self, chance):
        self.chance = chance
        self.low, self.range, self.shifts = 0, 0xFFFFFFFF, 0

    def find(self, bits):
        return self.chance.randrange(1 << bits)

    def take(self, below, share, bits):
        unit = self.range >> bits
        self.low += below * unit
        self.range = self.range - below * unit if below + share == 1 << bits else share * unit
        while self.range < BOTTOM:
            self.range <<= 8
            self.low <<= 8
            self.shifts += 1
        if self.shifts > COLUMNS_BYTES_MAX:
            raise DecodeError("too_large", "enough")

    def number(self, usual):
        """Counts are seldom large, and of forms, scales and factors all come up."""
        if self.chance.randrange(4) == 0:
            return super().number(usual)
        value = self.chance.randrange({0: 2, 1: 7, 3: 12, 4: 40, 9: 60}.get(usual, 1 << usual))
        bits = (value + (1 << usual)).bit_length() - 1
        for _ in range(bits - usual):
            self.take(1, 1, 1)
        self.take(0, 1, 1)
        if bits > 0:
            self.take(value + (1 << usual) - (1 << bits), 1, bits)
        return value

    def close(self):
        pass

    def bytes(self):
        """A number of the interval, with up to four zeros at its end left out."""
        data = (self.low + self.range - 1 & ~0xFFFF).to_bytes(4 + self.shifts, "big")
        return data[:-4] + data[-4:].rstrip(b"\0") or b"\0"


def make_columns(chance, birth):
    while True:
        maker = Maker(chance)
        columns_module.RangeIn = lambda _, maker=maker: maker
        try:
            for _ in read_columns(b"", TICK, birth):
                pass
            return maker.bytes()
        except DecodeError as why:
            if why.kind != "too_large" and chance.randrange(40) == 0:
                return maker.bytes()


def main():
    chance = random.Random(int(sys.argv[2]))
    birth_bytes = make_birth()
    birth = decode_birth(birth_bytes)
    messages = [field(2, birth_bytes)]
    for sequence in range(1, int(sys.argv[3]) + 1):
        columns = make_columns(chance, birth)
        messages.append(field(3, make_frame(birth.schema, sequence, columns)))
    with open(sys.argv[4], "wb") as out:
        for message in messages:
            entry = field(1, b"random-1") + message
            out.write(varint(len(entry)) + entry)


main()
