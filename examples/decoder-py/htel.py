#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what is in capture files, as htel-cat does.

    htel.py --csv capture.htel      a row for each instant, a column for each channel
    htel.py --jsonl capture.htel    a line for each numeric, alarm, and block of samples

Frames are shown in the order of device, boot and sequence, each once. What is damaged is told
on stderr, the rest is shown. Exit status: 0, 1 when something was damaged or missing, 64 the
command line is wrong."""

import argparse
import bisect
import itertools
import json
import os
import sys
from dataclasses import dataclass

from healthtel import ALARM, NUMERIC, WAVEFORM, DecodeError, Frame, decode_birth, decode_frame
from healthtel import readings
from healthtel.capture import entries

KINDS = ("numeric", "waveform", "alarm")
QUALITIES = ("valid", "sensor_off", "artefact", "estimated", "no_value", "reserved_5",
             "reserved_6", "reserved_7")
STATES = ("inactive", "active", "acknowledged", "paused")
PRIORITIES = ("none", "low", "medium", "high")
DAMAGED_TOLD = 50

# What no device sends, although it can be decoded: docs/FORMAT.md, "What a decoder must check".
TICK_MAX, UTC_MS_MAX, COUNT_MAX = 1 << 62, 1 << 60, (1 << 63) - 1
SAMPLES_MAX, EVENTS_MAX = 1048576, 65536  # in a frame


@dataclass
class Item:
    """One frame of a capture."""

    device: str
    frame: Frame
    data: bytes
    file: str
    offset: int
    order: int


def check_ranges(frame):
    if frame.tick > TICK_MAX:
        raise DecodeError("format", "the tick is out of range")
    if any(a.tick > TICK_MAX or abs(a.utc_ms) > UTC_MS_MAX for a in frame.anchors):
        raise DecodeError("format", "a time anchor is out of range")
    for loss in frame.losses:
        if (not loss.tick_first <= loss.tick_last <= TICK_MAX or loss.id == 0
                or max(loss.readings, loss.boot, loss.boot_last) > COUNT_MAX):
            raise DecodeError("format", "a loss record is out of range, or has no id")


def read_all(frame, birth):
    """All series of a frame, where they are not more than a device sends."""
    found, samples, events = [], 0, 0
    for series in readings(frame, birth):
        if max(series.ticks) > TICK_MAX:
            raise DecodeError("format", "a reading's tick is out of range")
        if series.kind == WAVEFORM:
            samples += len(series.values)
        else:
            events += len(series.values)
        if samples > SAMPLES_MAX or events > EVENTS_MAX:
            raise DecodeError("too_large", "more readings than a frame may hold")
        found.append(series)
    return found


class Input:
    """All frames, births and anchors of the files."""

    def __init__(self, device_wanted):
        self.device_wanted = device_wanted
        self.births = {}  # (device, schema) -> birth, in the order they came
        self.anchors = {}  # (device, boot) -> anchors by tick
        self.items = []
        self.damaged = 0

    def tell(self, file, offset, why):
        self.damaged += 1
        if self.damaged < DAMAGED_TOLD:
            print(f"htel.py: {file}: at byte {offset}: {why}", file=sys.stderr)
        elif self.damaged == DAMAGED_TOLD:
            print("htel.py: what else is damaged is only counted", file=sys.stderr)

    def add_file(self, path):
        with open(path, "rb") as file:
            data = file.read()
        for offset, device, is_frame, body in entries(data, lambda *what: self.tell(path, *what)):
            if self.device_wanted in (None, device):
                try:
                    self.add(path, offset, device, is_frame, body)
                except DecodeError as why:
                    self.tell(path, offset, why)

    def add(self, path, offset, device, is_frame, body):
        if not is_frame:
            birth = decode_birth(body)
            self.births.setdefault((device, birth.schema), birth)
            return
        frame = decode_frame(body)
        check_ranges(frame)
        for anchor in frame.anchors:
            self.anchors.setdefault((device, frame.boot), []).append((frame.sequence, anchor))
        self.items.append(Item(device, frame, body, path, offset, len(self.items)))

    def sort(self):
        """Frames in order, each once; of several anchors at one tick that of the latest frame."""
        self.items.sort(key=lambda i: (i.device, i.frame.boot, i.frame.sequence, i.order))
        kept, repeated = [], 0
        for item in self.items:
            last = kept[-1] if kept else None
            if last is None or (last.device, last.frame.boot, last.frame.sequence) != (
                    item.device, item.frame.boot, item.frame.sequence):
                kept.append(item)
            elif item.data == last.data:
                repeated += 1
            else:
                self.tell(item.file, item.offset,
                          "another frame came before under this key; passed over")
        self.items = kept
        if repeated:
            print(f"htel.py: {repeated} frames came more than once and are shown once",
                  file=sys.stderr)
        for key, found in self.anchors.items():
            by_tick = {}
            for _, anchor in sorted(found, key=lambda one: one[0]):
                by_tick[anchor.tick] = anchor
            self.anchors[key] = [by_tick[tick] for tick in sorted(by_tick)]

    def offset_ms(self, item):
        """UTC at tick 0 of the boot: by the latest anchor that is not after the frame, else by the
        earliest one; None without anchors."""
        anchors = self.anchors.get((item.device, item.frame.boot))
        if not anchors:
            return None
        after = bisect.bisect_right([anchor.tick for anchor in anchors], item.frame.tick)
        anchor = anchors[max(0, after - 1)]
        return anchor.utc_ms - anchor.tick

    def decoded(self):
        """(item, birth, its readings) of every frame that can be read as a whole."""
        for item in self.items:
            birth = self.births.get((item.device, item.frame.schema))
            if birth is None:
                self.tell(item.file, item.offset, "its birth is not here")
                continue
            try:
                series = read_all(item.frame, birth)
            except DecodeError as why:
                self.tell(item.file, item.offset, why)
                continue
            yield item, birth, series


def channel_name(channel):
    return channel.name or f"code_{channel.code}_{channel.index}"


# ---- CSV -------------------------------------------------------------------------------------


def make_columns(source):
    """Names of the columns, and (device, schema) -> column of each channel, None for alarms. Births
    share a column where a channel has the same name; within a birth two of one name are two."""
    names, columns = [], {}
    used = {item.frame.schema for item in source.items}
    for key, birth in source.births.items():
        if key[1] not in used:
            continue
        mine = columns[key] = []
        for channel in birth.channels:
            if channel.kind == ALARM:
                mine.append(None)
                continue
            name = channel_name(channel)
            at = next((i for i, n in enumerate(names) if n == name and i not in mine), None)
            if at is None:
                at = len(names)
                names.append(name)
            mine.append(at)
    return names, columns


def quoted(name, after=""):
    if "," in name or '"' in name:
        return '"' + name.replace('"', '""') + after + '"'
    return name + after


def rows_of(cells, width):
    """Rows out of cells (tick, column, order, ms, value, quality): one for each tick, or as many
    as one channel has readings at it."""
    cells.sort(key=lambda cell: cell[:3])
    for _, at_tick in itertools.groupby(cells, key=lambda cell: cell[0]):
        turns = []
        for _, of_column in itertools.groupby(at_tick, key=lambda cell: cell[1]):
            for turn, cell in enumerate(of_column):
                if turn == len(turns):
                    turns.append([])
                turns[turn].append(cell)
        for turn in turns:
            row = [None] * width
            for cell in turn:
                row[cell[1]] = cell
            yield min(turn, key=lambda cell: cell[2])[3], row


def print_csv(source, options):
    if len({item.device for item in source.items}) > 1:
        print("htel.py: --csv shows one device, and there are several: choose one with --device",
              file=sys.stderr)
        return False
    names, columns = make_columns(source)
    header = [] if options.no_time else ["t_ms"]
    for name in names:
        header.append(quoted(name))
        if options.quality:
            header.append(quoted(name, ".q"))
    print(",".join(header))
    for _, boot in itertools.groupby(source.decoded(), key=lambda one: one[0].frame.boot):
        cells = []
        for item, birth, all_series in boot:
            offset = source.offset_ms(item) or 0
            mine = columns[(item.device, birth.schema)]
            for series in all_series:
                column = mine[series.channel]
                if column is None:
                    continue
                for tick, value, quality in zip(series.ticks, series.values, series.quality):
                    cells.append((tick, column, len(cells), tick + offset, value, quality))
        for ms, row in rows_of(cells, len(names)):
            line = [] if options.no_time else [str(ms)]
            for cell in row:
                line.append("" if cell is None else str(cell[4]))
                if options.quality:
                    line.append("" if cell is None else QUALITIES[cell[5]])
            print(",".join(line))
    return True


# ---- JSON lines ------------------------------------------------------------------------------


def objects_of(item, birth, series, offset):
    """One for each numeric reading and alarm, one for a block of samples."""
    channel = birth.channels[series.channel]
    for i, tick in enumerate(series.ticks):
        one = {"device": item.device, "boot": item.frame.boot, "sequence": item.frame.sequence,
               "session": item.frame.session, "kind": KINDS[series.kind],
               "channel": channel_name(channel), "tick": tick}
        if offset is not None:
            one["utc_ms"] = tick + offset
        if series.kind == WAVEFORM:
            one.update(phase=series.phase, rate=[channel.rate_num, channel.rate_den],
                       samples=series.values)
            if any(series.quality):
                one["quality"] = list(series.quality)
            yield one
            return
        if series.kind == NUMERIC:
            one.update(value=series.values[i], quality=series.quality[i])
        else:
            alarm = series.alarms[i]
            one.update(code=alarm.code, state=STATES[alarm.state],
                       priority=PRIORITIES[alarm.priority], latched=alarm.latched)
            if alarm.source is not None:
                one["source"] = channel_name(birth.channels[alarm.source])
        yield one


def print_jsonl(source):
    for item, birth, all_series in source.decoded():
        offset = source.offset_ms(item)
        for series in all_series:
            for one in objects_of(item, birth, series, offset):
                print(json.dumps(one, separators=(",", ":")))
    return True


# ---- The command line ------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        print(f"htel.py: {message}", file=sys.stderr)
        sys.exit(64)


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--csv", action="store_true")
    form.add_argument("--jsonl", action="store_true")
    parser.add_argument("--no-time", action="store_true", help="csv: without t_ms")
    parser.add_argument("--quality", action="store_true", help="csv: a column NAME.q after each")
    parser.add_argument("--device", help="this device alone")
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    source = Input(options.device)
    good = True
    for path in options.files:
        try:
            source.add_file(path)
        except OSError as why:
            print(f"htel.py: {path}: {why.strerror}", file=sys.stderr)
            good = False
    source.sort()
    good &= print_csv(source, options) if options.csv else print_jsonl(source)
    return 0 if good and source.damaged == 0 else 1


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on: what is still held goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
