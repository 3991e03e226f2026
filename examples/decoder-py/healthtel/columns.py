# SPDX-License-Identifier: Apache-2.0
"""Readings as columns: docs/FORMAT.md, "Columns"."""

from .birth import ALARM, NUMERIC
from .blocks import READINGS_MAX, Series, check_tick, wave_end, wave_ticks
from .ranges import RangeIn
from .steps import FIXED, OTHERS, ORDER_MAX, ORDERS, SCALE_MAX, Mixture, Predictor
from .wire import bad, int32

COUNT_MAX = 32768
RUNS_MAX = 32
SEGMENT_STEPS = 4096
NOMINAL_MAX = 1 << 30
NO_VALUE = 4

# Bits that numbers usually have.
USUAL_COUNT_NUMERIC, USUAL_COUNT_WAVEFORM = 4, 9
USUAL_FIRST, USUAL_TICK, USUAL_FORM, USUAL_SCALE, USUAL_DIVISOR = 10, 9, 1, 3, 2
USUAL_FACTOR_LESS = 3  # than the precision


class Column:
    def __init__(self, channel, count):
        self.channel = channel
        self.count = count
        self.interval = None  # of numerics, where it is regular
        self.ticks = []  # of numerics, less the frame's
        self.runs = []  # of waveforms: (first reading, tick less the frame's, phase)
        self.quality = bytearray(count)
        self.values = [0] * count
        self.coded = 0  # how many values are coded: not those that are absent
        self.steps = []  # between them, as they stand in the stream


# ---- Series ----------------------------------------------------------------------------------


def read_factor(coder, precision):
    factor = coder.signed(precision - USUAL_FACTOR_LESS)
    if abs(factor) >= 1 << (precision + 4):
        raise bad("a factor is out of range")
    return factor


def read_predictor(coder, has_other):
    form = coder.number(USUAL_FORM)
    if form >= len(ORDERS):
        raise bad("a form of predictor that does not exist")
    predictor = Predictor(form)
    if form < len(FIXED):
        return predictor
    predictor.precision = 6 + 2 * coder.bits(2)
    predictor.factors = [read_factor(coder, predictor.precision) for _ in range(ORDERS[form])]
    if has_other and coder.bit():
        predictor.other = [read_factor(coder, predictor.precision) for _ in range(OTHERS)]
    return predictor


def read_steps(coder, count, is_numeric, other):
    segments = (count + SEGMENT_STEPS - 1) // SEGMENT_STEPS
    past, past_other = [0] * ORDER_MAX, [0] * OTHERS
    steps = []
    for s in range(segments):
        if s == 0 or coder.bit():
            predictor = read_predictor(coder, other is not None)
        if s == 0:
            scale = coder.number(USUAL_SCALE)
            if scale > SCALE_MAX:
                raise bad("a scale is out of range")
            mixture = Mixture(scale, predictor.form != 0, is_numeric)
        for i in range(len(steps), count * (s + 1) // segments):
            if other:
                past_other = [other[i], past_other[0]]
            step = mixture.read(coder, predictor.step(past, past_other))
            past.insert(0, step)
            past.pop()
            steps.append(step)
    return steps


def read_series(coder, count, is_numeric, other=None):
    """The series' numbers, and the steps between them as they stand in the stream; `other` has such
    steps of the other."""
    values = [coder.signed(USUAL_FIRST)]
    if count == 1:
        return values, []
    divisor = 1
    if coder.bit():
        if coder.bit():
            return values * count, [0] * (count - 1)
        divisor = coder.number(USUAL_DIVISOR) + 2
        if divisor > 0x7FFFFFFF:
            raise bad("a divisor is out of range")
    steps = read_steps(coder, count - 1, is_numeric, other)
    for step in steps:
        values.append(int32(values[-1] + step * divisor))
    return values, steps


def read_values(coder, column, is_numeric, before):
    """The values of those readings that have one."""
    has_value = [quality != NO_VALUE or not is_numeric for quality in column.quality]
    column.coded = sum(has_value)
    if column.coded == 0:
        return
    together = before and before.count == column.count and before.coded == column.coded
    values, column.steps = read_series(coder, column.coded, is_numeric,
                                       before.steps if together else None)
    rest = iter(values)
    for i, there in enumerate(has_value):
        if there:
            column.values[i] = next(rest)


# ---- Times and qualities ---------------------------------------------------------------------


def nominal_interval(channel):
    if channel.rate_num == 0 or 1000 * channel.rate_den % channel.rate_num != 0:
        return 0
    interval = 1000 * channel.rate_den // channel.rate_num
    return interval if interval <= NOMINAL_MAX else 0


def read_qualities(coder, column, before):
    flags = {}
    last, was_valid = NO_VALUE, True
    for i in range(column.count):
        other_valid = before.quality[i] == 0 if before else True
        was_valid = coder.flag(flags, (was_valid, other_valid))
        if was_valid:
            continue
        if not coder.flag(flags, "same"):
            last = coder.bits(3)
            if last == 0:
                raise bad("a reading that is not valid is called valid")
        column.quality[i] = last
    last = 0
    for i in range(column.count):
        if column.quality[i] != NO_VALUE:
            continue
        if not coder.flag(flags, "same_value"):
            last = int32(coder.bits(32))
        column.values[i] = last


def read_numeric(coder, column, channel, before):
    pair = before if before and before.count == column.count else None
    nominal = nominal_interval(channel)
    expected = pair.interval if pair and pair.interval is not None else nominal
    column.interval = expected
    tick, has_quality, steps = 0, False, None
    if coder.bit():
        has_quality = coder.bit()
        tick = coder.signed(1)
        if column.count > 1 and coder.bit():
            column.interval = None
            steps = [step + nominal for step in read_series(coder, column.count - 1, True)[0]]
        elif column.count > 1:
            column.interval = int32(expected + coder.signed(1))
    for step in steps or [column.interval] * (column.count - 1):
        column.ticks.append(tick)
        tick += step
    column.ticks.append(tick)
    if has_quality:
        read_qualities(coder, column, pair)
    read_values(coder, column, True, before)


def read_runs(coder, count, what):
    """How many runs there are; more than RUNS_MAX are refused."""
    runs = coder.number(0) + 1
    if runs > min(RUNS_MAX, count):
        raise bad(f"too many runs {what}")
    return runs


def read_length(coder, left):
    """Of a run that is not the last one: it leaves something for those to come."""
    length = coder.number(USUAL_COUNT_WAVEFORM)
    if not 1 <= length < left:
        raise bad("a run that is empty, or longer than what is left")
    return length


def read_wave(coder, column, channel, before):
    column.runs = [(0, 0, 0)]
    if coder.bit():
        column.runs = []
        begin = 0
        for i in range(read_runs(coder, column.count, "of samples")):
            if i > 0:
                begin += read_length(coder, column.count - begin)
            tick, phase = coder.signed(USUAL_TICK), coder.number(0)
            if phase >= channel.rate_num:
                raise bad("a phase of a whole period or more")
            column.runs.append((begin, tick, phase))
        if coder.bit():
            read_wave_qualities(coder, column)
    read_values(coder, column, False, before)


def read_wave_qualities(coder, column):
    runs = read_runs(coder, column.count, "of one quality")
    begin = 0
    for i in range(runs):
        quality, left = coder.bits(3), column.count - begin
        length = left if i == runs - 1 else read_length(coder, left)
        column.quality[begin : begin + length] = bytes([quality]) * length
        begin += length


# ---- The whole -------------------------------------------------------------------------------


def numeric_series(column, frame_tick):
    for at in range(0, column.count, READINGS_MAX):
        end = at + READINGS_MAX
        yield Series(column.channel, NUMERIC,
                     [check_tick(frame_tick + tick) for tick in column.ticks[at:end]],
                     column.values[at:end], bytes(column.quality[at:end]))


def wave_series(column, channel, frame_tick):
    ends = [run[0] for run in column.runs[1:]] + [column.count]
    for (begin, tick, phase), end in zip(column.runs, ends):
        tick = check_tick(frame_tick + tick)
        for at in range(begin, end, READINGS_MAX):
            if at > begin:
                tick, phase = wave_end(tick, phase, channel, READINGS_MAX)
            count = min(end - at, READINGS_MAX)
            yield Series(column.channel, channel.kind, wave_ticks(tick, phase, channel, count),
                         column.values[at : at + count], bytes(column.quality[at : at + count]),
                         phase, at > begin)


def read_columns(data, frame_tick, birth):
    """All series of a frame's columns, at most READINGS_MAX readings each, as blocks have."""
    coder = RangeIn(data)
    left = coder.number(0) + 1
    if left > len(birth.channels):
        raise bad("more columns than channels")
    least, before = 0, None
    for _ in range(left):
        number = least + coder.number(0)
        if number >= len(birth.channels) or birth.channels[number].kind == ALARM:
            raise bad("a column of a channel that is not in the birth, or of alarms")
        channel, least = birth.channels[number], number + 1
        numeric = channel.kind == NUMERIC
        if before is None or coder.bit():
            usual = USUAL_COUNT_NUMERIC if numeric else USUAL_COUNT_WAVEFORM
            count = coder.number(usual) + 1
        else:
            count = before.count
        if count > COUNT_MAX:
            raise bad(f"a column of more than {COUNT_MAX} readings")
        column = Column(number, count)
        (read_numeric if numeric else read_wave)(coder, column, channel, before)
        yield from (numeric_series(column, frame_tick) if numeric
                    else wave_series(column, channel, frame_tick))
        before = column
    coder.close()
