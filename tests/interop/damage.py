#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""damage.py SEED HOW IN OUT - damages a capture, the same way for the same seed.

HOW is `bits`: bits of the whole file are flipped; `cut`: it ends somewhere; `frames`: the readings
of each frame are damaged (bits flipped, bytes changed, taken out, put in, doubled); or `fields`:
births and frames lose fields, have them twice, in another order, of another wire type, with numbers
that are out of range. With the last two, checksums are made right again, so that what is behind
them is put to the test."""

import random
import sys
import zlib

BIRTH, FRAME = 2, 3  # in a capture's message
SCHEMA, DATA, ANCHORS, LOSSES, COLUMNS = 5, 8, 10, 11, 13  # in a frame
CHANNELS = 3  # in a birth
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
# A decoder may refuse what is over 53 bits, and must refuse what is over 62 (but for boots).
EXTREMES = (0, 1, 2, 3, 4, 16, 127, 255, 256, 512, 65536, 1000000, 1000001, 1 << 31, (1 << 32) - 1,
            1 << 32, 1 << 35, 1 << 63, (1 << 64) - 1)


def put_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def take_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """(number, wire type, bytes) of a well-formed message."""
    at = 0
    while at < len(data):
        tag, at = take_varint(data, at)
        begin = at
        if tag & 7 == VARINT:
            _, at = take_varint(data, at)
        elif tag & 7 == BYTES:
            size, begin = take_varint(data, at)
            at = begin + size
        else:
            at += 8 if tag & 7 == FIXED_64 else 4
        yield tag >> 3, tag & 7, data[begin:at]


def put_field(number, wire, data):
    return put_varint(number << 3 | wire) + (put_varint(len(data)) if wire == BYTES else b"") + data


def put_fields(message):
    return b"".join(put_field(*field) for field in message)


def put_crc(inside):
    return inside + b"\x7d" + zlib.crc32(inside).to_bytes(4, "little")


def schema_of(birth):
    return zlib.crc32(birth).to_bytes(4, "little")


def messages(data):
    at = 0
    while at < len(data):
        size, at = take_varint(data, at)
        yield data[at : at + size]
        at += size


# ---- Readings ----------------------------------------------------------------------------------


def hurt(data, chance):
    """A few wounds, most often one."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(data)) if data else 0
        how = chance.randrange(6)
        if how == 0 or not data:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 4)))
        elif how == 1:
            del data[at : at + chance.randrange(1, 4)]
        elif how == 2:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif how == 3:
            data[at:at] = data[at : at + chance.randrange(1, 20)]
        else:
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def hurt_frame(frame, chance):
    return put_crc(put_fields(
        (number, wire, hurt(data, chance) if number in (DATA, COLUMNS) else data)
        for number, wire, data in fields(frame[:-5])))


# ---- Fields ------------------------------------------------------------------------------------


def random_field(number, chance):
    wire = chance.choice((VARINT, VARINT, BYTES, FIXED_32, FIXED_64))
    if wire == VARINT:
        return number, wire, put_varint(chance.choice(EXTREMES))
    size = {FIXED_32: 4, FIXED_64: 8}.get(wire, chance.choice((0, 1, 16, 40)))
    return number, wire, bytes(chance.randrange(256) for _ in range(size))


def hurt_fields(message, within, chance):
    """One wound, in the message or in one of those in the fields `within`."""
    message = list(message)
    inner = [i for i, field in enumerate(message) if field[0] in within]
    if inner and chance.randrange(2) == 0:
        i = chance.choice(inner)
        hurt_inside = hurt_fields(fields(message[i][2]), (), chance)
        message[i] = (message[i][0], BYTES, put_fields(hurt_inside))
        return message
    at, how = chance.randrange(len(message) + 1), chance.randrange(6)
    if how == 0 or not message:
        message.insert(at, random_field(chance.randrange(1, 17), chance))
    elif how == 1:
        message.insert(at, chance.choice(message))
    elif how == 2:
        del message[at : at + 1]
    elif how == 3:
        chance.shuffle(message)
    else:
        at = chance.randrange(len(message))
        number, wire, _ = message[at]
        value = put_varint(chance.choice(EXTREMES))
        message[at] = (number, wire, value) if wire == VARINT else random_field(number, chance)
    return message


class Fields:
    """Damages births and frames, and has frames name the birth as it is now."""

    def __init__(self, chance):
        self.chance = chance
        self.schemas = {}

    def birth(self, data):
        damaged = data
        if self.chance.randrange(3) == 0:
            damaged = put_fields(hurt_fields(fields(data), (CHANNELS,), self.chance))
        self.schemas[schema_of(data)] = schema_of(damaged)
        return damaged

    def frame(self, data):
        message = [(number, wire, self.schemas.get(value, value) if number == SCHEMA else value)
                   for number, wire, value in fields(data[:-5])]
        if self.chance.randrange(2) == 0:
            message = hurt_fields(message, (ANCHORS, LOSSES), self.chance)
        return put_crc(put_fields(message))


# ---- The whole ---------------------------------------------------------------------------------


def rebuilt(data, birth, frame):
    """The capture with its births and frames as these make them."""
    out = b""
    for message in messages(data):
        entry = put_fields(
            (number, wire, {BIRTH: birth, FRAME: frame}.get(number, bytes)(value))
            for number, wire, value in fields(message))
        out += put_varint(len(entry)) + entry
    return out


def main():
    seed, how, source, target = sys.argv[1:]
    chance = random.Random(int(seed))
    with open(source, "rb") as file:
        data = file.read()
    if how == "cut":
        data = data[: chance.randrange(1, len(data))]
    elif how == "bits":
        hurt_data = bytearray(data)
        for _ in range(chance.randrange(1, 9)):
            hurt_data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        data = bytes(hurt_data)
    elif how == "fields":
        damage = Fields(chance)
        data = rebuilt(data, damage.birth, damage.frame)
    else:
        data = rebuilt(data, bytes, lambda frame: hurt_frame(frame, chance))
    with open(target, "wb") as file:
        file.write(data)


main()
