# SPDX-License-Identifier: Apache-2.0
"""Capture files: births and frames as they travelled. docs/FORMAT.md, "Capture files"."""

import re

from .birth import MESSAGE_BYTES_MAX
from .wire import WIRE_BYTES, Cursor, DecodeError, bad, fields

LENGTH_BITS = 28
LENGTH_MAX = MESSAGE_BYTES_MAX + 64  # a message and whose it is
DEVICE = re.compile(rb"[A-Za-z0-9_-]{1,36}\Z")
FIELD_DEVICE, FIELD_BIRTH, FIELD_FRAME = 1, 2, 3


def read_entry(data):
    """(device, is it a frame, its bytes)"""
    device = body = None
    for number, wire, value in fields(data):
        if wire != WIRE_BYTES:
            continue
        if number == FIELD_DEVICE:
            if not DEVICE.match(value):
                raise bad("a device of another name than devices have")
            device = value.decode("ascii")
        elif number in (FIELD_BIRTH, FIELD_FRAME):
            body, is_frame = value, number == FIELD_FRAME
    if body is None or device is None:
        raise bad("neither a birth nor a frame of a device")
    return device, is_frame, body


def entries(data, tell):
    """Every message of a capture that can be read, as (its offset in the file, device, is it a
    frame, bytes). What is damaged goes to tell(offset, why) and is passed over; a length that is
    damaged ends it all, for nothing says where the next message is."""
    cursor = Cursor(data)
    begun = False
    while cursor.left() > 0:
        start = cursor.at
        try:
            size = cursor.varint(LENGTH_BITS)
            if cursor.at - start > LENGTH_BITS // 7 or size > LENGTH_MAX:
                raise bad("a length that cannot be")
            entry = cursor.take(size)
        except DecodeError:
            tell(start, "no capture from here on; the rest is not read")
            return
        try:
            device, is_frame, body = read_entry(entry)
        except DecodeError:
            tell(start, "a damaged message, passed over" if begun
                 else "no capture from here on; the rest is not read")
            if not begun:
                return
        else:
            yield start, device, is_frame, body
        begun = True
