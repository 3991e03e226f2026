# SPDX-License-Identifier: Apache-2.0
"""Births: what a device measures. docs/FORMAT.md, "Birth"."""

import zlib
from dataclasses import dataclass

from .wire import WIRE_VARINT, DecodeError, bad, fields, message

NUMERIC, WAVEFORM, ALARM = 0, 1, 2

MESSAGE_BYTES_MAX = 61440
CHANNELS_MAX = 64
RATE_PART_MAX = 1000000
EXPONENT_MAX = 12

BIRTH = {1: ("format", "uint32", 1), 2: ("firmware", "text31", 1),
         3: ("channels", "bytes", CHANNELS_MAX)}
CHANNEL = {1: ("code", "uint32", 1), 2: ("index", "uint8", 1), 3: ("kind", "uint32", 1),
           4: ("name", "text31", 1), 5: ("unit", "text15", 1), 6: ("rate_num", "uint32", 1),
           7: ("rate_den", "uint32", 1), 8: ("gain", "sint32", 1), 9: ("offset", "sint32", 1),
           10: ("exponent", "sint32", 1)}


@dataclass
class Channel:
    """The physical value of a reading is (value - offset) / gain * 10**exponent, in `unit`."""

    code: int
    index: int
    kind: int
    name: str
    unit: str
    rate_num: int
    rate_den: int
    gain: int
    offset: int
    exponent: int


@dataclass
class Birth:
    schema: int  # as frames name it
    firmware: str
    channels: list


def decode_channel(data):
    c = message(data, CHANNEL)
    if c["kind"] > ALARM:
        raise bad("a kind of channel that does not exist")
    if c["kind"] == ALARM and c["rate_num"] != 0 or c["kind"] == WAVEFORM and c["rate_num"] == 0:
        raise bad("a waveform without a rate, or alarms with one")
    if max(c["rate_num"], c["rate_den"]) > RATE_PART_MAX and c["kind"] != ALARM:
        raise bad("a rate is out of range")
    if abs(c["exponent"]) > EXPONENT_MAX:
        raise bad("an exponent is out of range")
    c["unit"] = c["unit"] or "1"
    c["rate_den"] = c["rate_den"] or 1
    c["gain"] = c["gain"] or 1
    return Channel(**c)


def decode_birth(data):
    """The birth in these bytes. Raises DecodeError."""
    data = bytes(data)
    if len(data) > MESSAGE_BYTES_MAX:
        raise DecodeError("too_large", "larger than a birth may be")
    first = next(fields(data), None)
    if first is None or first[:2] != (1, WIRE_VARINT) or first[2] >> 32:
        raise bad("this does not begin with a format")
    if first[2] > 1:
        raise DecodeError("version", "a format that is newer than this decoder")
    b = message(data, BIRTH)
    channels = [decode_channel(c) for c in b["channels"]]
    if b["format"] != 1 or not channels:
        raise bad("no format, or no channel")
    if len({(c.code, c.index) for c in channels}) < len(channels):
        raise bad("two channels of one code and index")
    return Birth(zlib.crc32(data), b["firmware"], channels)
