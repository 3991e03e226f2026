# SPDX-License-Identifier: Apache-2.0
"""A decoder for healthtel, from docs/FORMAT.md alone. Python 3.9 or later, nothing else.

    birth = decode_birth(birth_bytes)
    frame = decode_frame(frame_bytes)
    for series in readings(frame, birth):
        print(birth.channels[series.channel].name, series.ticks, series.values)

Each of the three raises DecodeError on what it cannot read. A frame that breaks a rule breaks it
as a whole: drop the series that were read before the error."""

import zlib

from .birth import ALARM, NUMERIC, WAVEFORM, Birth, Channel, decode_birth
from .blocks import Alarm, Series, read_blocks
from .columns import read_columns
from .frame import Anchor, Frame, Loss, decode_frame
from .wire import DecodeError, bad

__all__ = ["ALARM", "NUMERIC", "WAVEFORM", "Alarm", "Anchor", "Birth", "Channel", "DecodeError",
           "Frame", "Loss", "Series", "decode_birth", "decode_frame", "readings"]


def inflated(frame):
    """The blocks of a frame: into room of just their size, with nothing behind them."""
    if frame.coding == 0:
        return frame.data
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(frame.data, frame.data_size + 1)
    except zlib.error as why:
        raise bad("the data cannot be inflated") from why
    if len(data) != frame.data_size or not inflater.eof or inflater.unused_data:
        raise bad("the data inflates to another size, or is cut short")
    return data


def readings(frame, birth):
    """The frame's readings, a Series at a time."""
    if frame.schema != birth.schema:
        raise DecodeError("schema", "the frame is to be read with another birth")
    if frame.columns is not None:
        yield from read_columns(frame.columns, frame.tick, birth)
    else:
        yield from read_blocks(inflated(frame), frame.tick, birth)
