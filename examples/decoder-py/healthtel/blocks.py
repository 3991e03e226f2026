# SPDX-License-Identifier: Apache-2.0
"""Readings as blocks: docs/FORMAT.md, "Frame data" and "Series"."""

from dataclasses import dataclass

from .birth import ALARM, WAVEFORM
from .wire import Cursor, bad, int32, unzigzag

READINGS_MAX = 512
QUALITY_MAX = 7

MODE_ZERO, MODE_RICE, MODE_BYTES = 0, 1, 2
PARTITION = 32
RAW_PARAMETER = 31
ONES_MAX = 24
BYTE_ESCAPE = 255


@dataclass
class Alarm:
    code: int
    state: int
    priority: int
    latched: bool
    source: int  # the channel it concerns, or None


@dataclass
class Series:
    """A run of readings of one channel. Waveforms: sample 0 is at exactly ticks[0] + phase /
    rate_num ms; `continues`: it is where the channel's series before, in this frame, ended."""

    channel: int
    kind: int
    ticks: list  # ms since boot, rounded down
    values: list  # of alarms: zeros
    quality: bytes
    phase: int = 0
    continues: bool = False
    alarms: list = None


def check_tick(tick):
    if not 0 <= tick < 1 << 64:
        raise bad("a tick outside of 64 bits")
    return tick


# ---- Series of numbers -----------------------------------------------------------------------


class Bits:
    """Bits out of a cursor's bytes, the first one in bit 7."""

    def __init__(self, cursor):
        self.cursor = cursor
        self.held = 0  # bits taken from the cursor and not used yet
        self.count = 0

    def take(self, count):
        while self.count < count:
            self.held = self.held << 8 | self.cursor.byte()
            self.count += 8
        self.count -= count
        value = self.held >> self.count
        self.held &= (1 << self.count) - 1
        return value

    def ones(self, most):
        """Ones up to a zero, which is taken too; or so many at most, and no zero then."""
        for count in range(most):
            if self.take(1) == 0:
                return count
        return most

    def close(self):
        if self.held != 0:
            raise bad("padding that is not zero")


def rice_codes(cursor, count):
    bits = Bits(cursor)
    for i in range(count):
        if i % PARTITION == 0:
            k = bits.take(5)
        ones = ONES_MAX if k == RAW_PARAMETER else bits.ones(ONES_MAX)
        if ones == ONES_MAX:
            yield bits.take(32)
        elif ones << k >> 32:
            raise bad("a residual over 32 bits")
        else:
            yield ones << k | bits.take(k)
    bits.close()


def byte_codes(cursor, count):
    for _ in range(count):
        code = cursor.byte()
        if code == BYTE_ESCAPE:
            code += cursor.varint(32)
            if code >> 32:
                raise bad("a residual over 32 bits")
        yield code


def read_series(cursor, count):
    mode = cursor.byte()
    order, how = mode & 3, mode >> 2
    if how > MODE_BYTES:
        raise bad("a way to write residuals that does not exist")
    values = [cursor.signed(32)]
    if how == MODE_ZERO:
        codes = [0] * (count - 1)
    else:
        codes = (rice_codes if how == MODE_RICE else byte_codes)(cursor, count - 1)
    for i, code in enumerate(codes, 1):
        q = min(i, order)
        if q == 0:
            predicted = values[0]
        elif q == 1:
            predicted = values[-1]
        elif q == 2:
            predicted = 2 * values[-1] - values[-2]
        else:
            predicted = 3 * values[-1] - 3 * values[-2] + values[-3]
        values.append(int32(predicted + unzigzag(code)))
    return values


def read_quality(cursor, count):
    quality = bytearray()
    while len(quality) < count:
        run, value = cursor.varint(32), cursor.byte()
        if run == 0 or run > count - len(quality) or value > QUALITY_MAX:
            raise bad("a run of qualities that cannot be")
        quality += bytes([value]) * run
    return bytes(quality)


# ---- Blocks ----------------------------------------------------------------------------------


def wave_ticks(tick, phase, channel, count):
    """Where `count` samples are whose first is at tick + phase / rate_num."""
    period, num = 1000 * channel.rate_den, channel.rate_num
    ticks = [tick + (phase + i * period) // num for i in range(count)]
    check_tick(ticks[-1])
    return ticks


def wave_end(tick, phase, channel, count):
    """The place of the sample after `count` of them, as tick and phase."""
    moved = phase + count * 1000 * channel.rate_den
    return check_tick(tick + moved // channel.rate_num), moved % channel.rate_num


def read_wave(cursor, series, channel, count, flags, frame_tick, ends):
    has_start, has_quality = flags & 1, flags & 2
    if has_start:
        tick = check_tick(frame_tick + cursor.signed())
        phase = cursor.varint(32)
        if phase >= channel.rate_num:
            raise bad("a phase of a whole period or more")
    elif series.channel in ends:
        tick, phase = ends[series.channel]
    else:
        raise bad("a block that continues nothing")
    ends[series.channel] = wave_end(tick, phase, channel, count)
    series.phase, series.continues = phase, not has_start
    series.ticks = wave_ticks(tick, phase, channel, count)
    series.quality = read_quality(cursor, count) if has_quality else bytes(count)
    series.values = read_series(cursor, count)


def read_numeric(cursor, series, count, flags, frame_tick):
    regular, has_quality = flags & 1, flags & 2
    if regular and count == 1:
        raise bad("one reading cannot be regular")
    series.ticks = [check_tick(frame_tick + cursor.signed())]
    if regular:
        steps = [cursor.signed(32)] * (count - 1)
    else:
        steps = read_series(cursor, count - 1) if count > 1 else []
    for step in steps:
        series.ticks.append(check_tick(series.ticks[-1] + step))
    series.quality = read_quality(cursor, count) if has_quality else bytes(count)
    series.values = read_series(cursor, count)


def read_alarms(cursor, series, birth, count, flags, frame_tick):
    if flags != 0:
        raise bad("reserved bits of an alarm block")
    series.alarms = []
    for _ in range(count):
        series.ticks.append(check_tick(frame_tick + cursor.signed()))
        code, bits, source = cursor.varint(32), cursor.byte(), cursor.varint(32)
        if bits > 0x1F or source > len(birth.channels):
            raise bad("reserved bits of an alarm, or a source that is no channel")
        series.alarms.append(Alarm(code, bits & 3, bits >> 2 & 3, bits >> 4 == 1,
                                   source - 1 if source else None))
    series.values, series.quality = [0] * count, bytes(count)


def read_blocks(data, frame_tick, birth):
    """All series of a frame's data, which has been inflated."""
    cursor = Cursor(data)
    ends = {}  # channel -> where its last block of samples ended
    while cursor.left() > 0:
        number = cursor.varint(32)
        if number >= len(birth.channels):
            raise bad("a channel that is not in the birth")
        channel = birth.channels[number]
        head = cursor.varint(32)
        count, flags = (head >> 2) + 1, head & 3
        if count > READINGS_MAX:
            raise bad(f"a block of more than {READINGS_MAX} readings")
        series = Series(number, channel.kind, [], [], b"")
        if channel.kind == WAVEFORM:
            read_wave(cursor, series, channel, count, flags, frame_tick, ends)
        elif channel.kind == ALARM:
            read_alarms(cursor, series, birth, count, flags, frame_tick)
        else:
            read_numeric(cursor, series, count, flags, frame_tick)
        yield series
