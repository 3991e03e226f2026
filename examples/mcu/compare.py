#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare.py DB DEVICE RECORDING.csv FLASH.json FROM_S BOOT... - is the database what was recorded?

BOOT is `number:end:ecg=N,pulse=N,spo2=N,resp=N,alarm=N,refused=N`, end `closed` or `cut`: how many
readings were accepted in that boot, and refused by a full ring. device.h says their values. Each
stored reading is given its number by its time, so that one at the wrong time is a wrong one. A
reading that is not stored is told of when a loss record covers it: its boot, and no more readings
than the record has. An unclean stop takes the newest readings alone, so it explains none before one
that is stored. FLASH.json is what `htel-cat --store` found waiting when the power failed: all of it
must be stored.
FROM_S is the Unix time at which the first boot began.

Prints one line of JSON; exit status 0 when nothing is lost, stored twice, or not as recorded."""
import json
import sqlite3
import struct
import sys
import time

ECG_HZ = 360
NUMERICS_MS = 211
ALARM_EACH = 29
SLACK_MS = 2.5  # how far a reading's time may be from where its number says: ticks are whole
UTC_SLACK_MS = 5000  # and its date, beyond what the anchors themselves allow for
RING_FULL, OUTBOX_FULL, UNCLEAN_STOP = 1, 2, 3


def numeric(base, step, span):
    return lambda n: base + n * step % span


def channels_of(recording):
    """name in BOOT: (name in the database, ms between two, value of reading n)"""
    return {
        "ecg": ("ECG_MLII", 1000 / ECG_HZ, lambda n: recording[n % len(recording)]),
        "pulse": ("PULSE", NUMERICS_MS, numeric(58, 7, 40)),
        "spo2": ("SPO2", NUMERICS_MS, numeric(940, 13, 60)),
        "resp": ("RESP", NUMERICS_MS, numeric(11, 3, 9)),
        "alarm": ("ALARM", NUMERICS_MS * ALARM_EACH, lambda n: 1 - n % 2),
    }


QUERIES = {
    0: "SELECT r.tick, r.value, r.quality, f.utc_offset_ms FROM numerics r",
    2: "SELECT r.tick, r.state, 0, f.utc_offset_ms FROM alarms r",
    1: "SELECT r.tick, r.phase, r.samples, r.quality, f.utc_offset_ms, c.rate_num, c.rate_den"
    " FROM waves r",
}


def readings_of(db, device, boot, name):
    """(ms since boot, value, quality, utc offset) of each stored reading of a channel, in order."""
    row = db.execute(
        "SELECT DISTINCT c.kind FROM channels c JOIN devices d ON d.id = c.device_id"
        " WHERE d.device = ? AND c.name = ?", (device, name)).fetchone()
    if row is None:
        return
    rows = db.execute(
        QUERIES[row[0]] + " JOIN frames f ON f.id = r.frame_id JOIN devices d ON d.id = f.device_id"
        " JOIN channels c ON c.device_id = f.device_id AND c.schema = f.schema"
        " AND c.channel = r.channel WHERE d.device = ? AND f.boot = ? AND c.name = ?"
        " ORDER BY f.sequence, r.n", (device, boot, name))
    for found in rows:
        if row[0] != 1:
            yield found
            continue
        tick, phase, samples, quality, offset, num, den = found
        for i, (value,) in enumerate(struct.iter_unpack("<i", samples)):
            yield tick + (phase + i * 1000 * den) / num, value, quality[i] if quality else 0, offset


def say_wrong(name, n, off, dated, value_right):
    """Not the reading itself."""
    print(f"compare: {name} {n}: {off:.1f} ms off, "
          f"{'value right' if value_right else 'another value'}, "
          f"{'dated' if dated else 'without a sensible date'}", file=sys.stderr)


def dates_of(db, device, boot, from_s):
    """Between which ms of Unix time the readings of a boot are to be."""
    (uncertainty_ms,) = db.execute(
        "SELECT coalesce(max(a.uncertainty_ms), 0) FROM anchors a"
        " JOIN devices d ON d.id = a.device_id WHERE d.device = ? AND a.boot = ?",
        (device, boot)).fetchone()
    slack_ms = UTC_SLACK_MS + uncertainty_ms
    return from_s * 1000 - slack_ms, time.time() * 1000 + slack_ms


def compare_channel(name, readings, period, value_of, recorded, dates):
    """How many readings of a boot are stored, stored twice, not as they were recorded, and missing
    before one that is stored; and the most that one's time is off."""
    seen, stored, duplicates, mismatches, first, off_most = set(), 0, 0, 0, None, 0
    for tick, value, quality, offset in readings:
        first = tick if first is None else first
        n = round((tick - first) / period)
        stored += 1
        if n in seen:
            duplicates += 1
            continue
        seen.add(n)
        off = abs(tick - first - n * period)
        off_most = max(off_most, off)
        dated = offset is not None and dates[0] <= tick + offset <= dates[1]
        right = 0 <= n < recorded and value == value_of(n) and quality == 0
        if not (right and off <= SLACK_MS and dated):
            mismatches += 1
            if mismatches <= 3:
                say_wrong(name, n, off, dated, right)
    holes = max(seen) + 1 - len(seen) if seen else 0
    return stored, duplicates, mismatches, holes, off_most


def told_of(losses, boot, cause):
    """The most readings of a boot that loss records of a cause speak of."""
    return sum(readings for first, last, found, readings in losses
               if first <= boot <= max(first, last) and found == cause)


def left_in_flash(db, device, path):
    """Readings in frames that lay in the flash and are not stored."""
    with open(path, encoding="ascii") as file:
        waiting = [f for f in json.load(file)["frames"] if f["state"] == "waiting"]
    stored = set(db.execute(
        "SELECT f.boot, f.sequence FROM frames f JOIN devices d ON d.id = f.device_id"
        " WHERE d.device = ?", (device,)))
    return sum(max(1, f["readings"]) for f in waiting if (f["boot"], f["sequence"]) not in stored)


def main():
    if len(sys.argv) < 7:
        sys.exit(__doc__)
    path, device, csv, flash, from_s = sys.argv[1:6]
    with open(csv, encoding="ascii") as file:
        recording = [int(line) for line in file.read().split("\n")[1:] if line]
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    losses = db.execute(
        "SELECT l.boot, l.boot_last, l.cause, l.readings FROM losses l"
        " JOIN devices d ON d.id = l.device_id WHERE d.device = ?", (device,)).fetchall()
    total = dict.fromkeys(("recorded", "stored", "told", "lost", "duplicates", "mismatches"), 0)
    bound, off_most = 0, 0
    for text in sys.argv[6:]:
        number, end, counts = text.split(":")
        counts = {name: int(count) for name, count in (c.split("=") for c in counts.split(","))}
        refused = missing = counts.pop("refused")
        holes = 0
        dates = dates_of(db, device, int(number), float(from_s))
        total["recorded"] += refused
        for name, count in counts.items():
            stored_name, period, value_of = channels_of(recording)[name]
            readings = readings_of(db, device, int(number), stored_name)
            stored, twice, wrong, before, off = compare_channel(
                name, readings, period, value_of, count + refused, dates)
            off_most = max(off_most, off)
            total["recorded"] += count
            total["stored"] += stored - twice
            total["duplicates"] += twice
            total["mismatches"] += wrong
            missing += max(0, count - (stored - twice))
            holes += before
        known = told_of(losses, int(number), RING_FULL) + told_of(losses, int(number), OUTBOX_FULL)
        at_end = told_of(losses, int(number), UNCLEAN_STOP) if end == "cut" else 0
        told = min(holes, known) + min(max(0, missing - holes), at_end + max(0, known - holes))
        bound += at_end
        total["told"] += told
        total["lost"] += missing - told
    total["lost"] += left_in_flash(db, device, flash)
    total["told_at_most"] = bound
    total["off_ms_most"] = round(off_most, 1)
    print(json.dumps(total))
    sys.exit(1 if total["lost"] or total["duplicates"] or total["mismatches"] else 0)


main()
