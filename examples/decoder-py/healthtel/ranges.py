# SPDX-License-Identifier: Apache-2.0
"""The range coder's reading half: docs/FORMAT.md, "Range coder"."""

from .wire import bad, unzigzag

BOTTOM = 1 << 24
PART_BITS = 16  # a symbol's bits at most
FLAG_BITS = 12
ZEROS_MAX = 4  # behind the end of the stream
FLAG_FIRST, FLAG_HIGH, FLAG_LOW, FLAG_SHIFT = 2048, 4064, 32, 3


class RangeIn:
    def __init__(self, data):
        self.data = bytes(data)
        self.at = 4
        self.code = int.from_bytes(self.data[:4].ljust(4, b"\0"), "big")
        self.range = 0xFFFFFFFF

    def find(self, bits):
        return min(self.code // (self.range >> bits), (1 << bits) - 1)

    def take(self, below, share, bits):
        unit = self.range >> bits
        code = self.code - below * unit
        width = self.range - below * unit if below + share == 1 << bits else share * unit
        while width < BOTTOM:
            width <<= 8
            code = code << 8 & 0xFFFFFFFF
            if self.at < len(self.data):
                code |= self.data[self.at]
            elif self.at >= len(self.data) + ZEROS_MAX:
                raise bad("cut short")
            self.at += 1
        self.code, self.range = code, width

    def bits(self, count):
        if count > PART_BITS:
            high = self.bits(count - PART_BITS)
            return high << PART_BITS | self.bits(PART_BITS)
        if count == 0:
            return 0
        value = self.find(count)
        self.take(value, 1, count)
        return value

    def bit(self):
        return self.bits(1) == 1

    def number(self, usual):
        bits = usual
        while self.bits(1) == 1:
            bits += 1
            if bits > 32:
                raise bad("a number over 32 bits")
        value = (1 << bits) + self.bits(bits) - (1 << usual)
        if value >> 32:
            raise bad("a number over 32 bits")
        return value

    def signed(self, usual):
        return unzigzag(self.number(usual))

    def flag(self, flags, name):
        """A flag that learns: its p is flags[name]."""
        p = flags.get(name, FLAG_FIRST)
        if self.find(FLAG_BITS) < p:
            self.take(0, p, FLAG_BITS)
            flags[name] = p + (FLAG_HIGH - p >> FLAG_SHIFT)
            return True
        self.take(p, (1 << FLAG_BITS) - p, FLAG_BITS)
        flags[name] = p - (p - FLAG_LOW >> FLAG_SHIFT)
        return False

    def close(self):
        if self.at < len(self.data):
            raise bad("bytes behind the columns")
