# SPDX-License-Identifier: Apache-2.0
"""Frames as envelopes: who, when, by which birth, and which bytes hold the readings.
docs/FORMAT.md, "Frame"."""

import zlib
from dataclasses import dataclass

from .birth import MESSAGE_BYTES_MAX
from .wire import DecodeError, bad, fields, message

CLASS_NUMERIC, CLASS_WAVEFORM, CLASS_ALARM = 0, 1, 2
CAUSE_RING_FULL, CAUSE_OUTBOX_FULL, CAUSE_UNCLEAN_STOP = 1, 2, 3

ANCHORS_MAX = 8
LOSSES_MAX = 16
INFLATED_BYTES_MAX = 65536
CRC_TAG = 0x7D
CRC_FIELD_BYTES = 5
FIELD_DATA, FIELD_ENCRYPTION, FIELD_COLUMNS, FIELD_CRC = 8, 12, 13, 15

FRAME = {1: ("boot", "uint64", 1), 2: ("sequence", "uint32", 1), 3: ("frame_class", "uint32", 1),
         4: ("tick", "uint64", 1), 5: ("schema", "fixed32", 1), 6: ("coding", "uint32", 1),
         7: ("data_size", "uint32", 1), 8: ("data", "bytes", 1), 9: ("session", "uint64", 1),
         10: ("anchors", "bytes", ANCHORS_MAX), 11: ("losses", "bytes", LOSSES_MAX),
         13: ("columns", "bytes", 1)}
ANCHOR = {1: ("tick", "uint64", 1), 2: ("utc_ms", "sint64", 1),
          3: ("uncertainty_ms", "uint32", 1)}
LOSS = {1: ("cause", "uint8", 1), 2: ("boot", "uint64", 1), 3: ("channel", "uint8", 1),
        4: ("frame_class", "uint8", 1), 5: ("sequence_first", "uint32", 1),
        6: ("sequence_last", "uint32", 1), 7: ("tick_first", "uint64", 1),
        8: ("tick_last", "uint64", 1), 9: ("readings", "uint64", 1), 10: ("at_most", "bool", 1),
        11: ("frames", "uint32", 1), 12: ("id", "uint32", 1), 13: ("boot_last", "uint64", 1)}


@dataclass
class Anchor:
    """At `tick` it was `utc_ms`, give or take `uncertainty_ms`."""

    tick: int
    utc_ms: int
    uncertainty_ms: int


@dataclass
class Loss:
    """What will not come."""

    cause: int
    boot: int
    channel: int
    frame_class: int
    sequence_first: int
    sequence_last: int
    tick_first: int
    tick_last: int
    readings: int
    at_most: bool
    frames: int
    id: int
    boot_last: int


@dataclass
class Frame:
    boot: int
    sequence: int
    frame_class: int
    tick: int
    schema: int
    session: int
    coding: int  # of data: 0 stored, 1 deflated
    data_size: int  # after inflating
    data: bytes  # blocks
    columns: bytes  # or columns, where there are any; None: none
    anchors: list
    losses: list


def check_fields(data):
    """Finds what a reader of protobuf would step over, and must not. Returns whether there are
    columns."""
    found = []
    for number, _, _ in fields(data):
        if number == FIELD_ENCRYPTION:
            raise DecodeError("unsupported", "the frame is encrypted")
        if number >= FIELD_CRC:
            raise bad("a field at or behind the checksum's number")
        if number in (FIELD_DATA, FIELD_COLUMNS):
            found.append(number)
    if len(found) > 1:
        raise bad("data twice, or data and columns")
    return FIELD_COLUMNS in found


def decode_loss(data, frame_boot):
    loss = Loss(**message(data, LOSS))
    loss.boot = loss.boot or frame_boot
    if loss.cause == CAUSE_OUTBOX_FULL:
        if not 1 <= loss.sequence_first <= loss.sequence_last:
            raise bad("a range of lost frames that is none")
        if loss.frames > loss.sequence_last - loss.sequence_first + 1:
            raise bad("more lost frames than their range has")
    return loss


def without_crc(data):
    """The frame less its checksum, which holds."""
    if len(data) < CRC_FIELD_BYTES or data[-CRC_FIELD_BYTES] != CRC_TAG:
        raise bad("no checksum at the end")
    if zlib.crc32(data[:-CRC_FIELD_BYTES]) != int.from_bytes(data[-4:], "little"):
        raise DecodeError("crc", "the checksum does not match")
    return data[:-CRC_FIELD_BYTES]


def check_coding(f, has_columns):
    """Coding and data must agree."""
    if f["coding"] > 1:
        raise DecodeError("unsupported", "a coding that is newer than this decoder")
    if has_columns and (f["coding"] != 0 or not f["columns"]):
        raise bad("columns that are deflated, or of no bytes")
    if f["coding"] == 0 and f["data_size"] != 0:
        raise bad("a size of data that is not deflated")
    if f["coding"] == 1 and not (1 <= f["data_size"] <= INFLATED_BYTES_MAX and f["data"]):
        raise bad("deflated data of no size, or of too much")


def decode_frame(data):
    """The frame in these bytes, without its readings: those are read by readings(). Raises
    DecodeError."""
    data = bytes(data)
    if len(data) > MESSAGE_BYTES_MAX:
        raise DecodeError("too_large", "larger than a frame may be")
    data = without_crc(data)
    has_columns = check_fields(data)
    f = message(data, FRAME)
    if f["sequence"] == 0 or f["frame_class"] > CLASS_ALARM:
        raise bad("a sequence or a class that does not exist")
    check_coding(f, has_columns)
    f["columns"] = f["columns"] if has_columns else None
    f["anchors"] = [Anchor(**message(a, ANCHOR)) for a in f["anchors"]]
    f["losses"] = [decode_loss(loss, f["boot"]) for loss in f["losses"]]
    return Frame(**f)
