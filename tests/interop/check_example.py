#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_example.py DECODER_PY FORMAT.md - the worked example of columns, number by number.

The bytes of docs/FORMAT.md's last frame go through the decoder, with a note taken of each number
that is read and of the range coder behind it: the tables beside the frame must say the same. So
must the logistic's table."""

import re
import sys

sys.path.insert(0, sys.argv[1])
from healthtel import columns, decode_birth, decode_frame, readings, steps  # noqa: E402


class Notes:
    """Table rows as the document has them, but for what they mean: of heads (read, gives, code,
    range), of steps all cells but the first."""

    def __init__(self):
        self.heads = []
        self.steps = []


class NotingCoder(columns.RangeIn):
    """Notes what is read by name: not what names are made of, nor what a step takes."""

    notes = Notes()
    depth = 0
    taken = None  # the first symbol of a step

    def noted(self, name, read):
        self.depth += 1
        value = read()
        self.depth -= 1
        if self.depth == 0:
            self.notes.heads.append((name, str(int(value)), str(self.code), str(self.range)))
        return value

    def bits(self, count):
        return self.noted(f"bits({count})", lambda: super(NotingCoder, self).bits(count))

    def number(self, usual):
        return self.noted(f"number({usual})", lambda: super(NotingCoder, self).number(usual))

    def signed(self, usual):
        return self.noted(f"signed({usual})", lambda: super(NotingCoder, self).signed(usual))

    def flag(self, flags, name):
        shown = name if isinstance(name, str) else "valid"
        return self.noted(f"flag({shown})", lambda: super(NotingCoder, self).flag(flags, name))

    def take(self, below, share, bits):
        self.taken = self.taken or (below, share)
        super().take(below, share, bits)


class NotingMixture(steps.Mixture):
    def read(self, coder, linear):
        weights = self.weights[self.repeats][: 4 if self.is_numeric else 3]
        before = [linear, self.usual, self.burst, self.repeats, " ".join(map(str, weights)),
                  coder.find(16)]
        coder.depth, coder.taken = coder.depth + 1, None
        step = super().read(coder, linear)
        coder.depth -= 1
        below, share = coder.taken
        coder.notes.steps.append([str(cell) for cell in (*before, below, share, step, coder.code,
                                                         coder.range)])
        coder.notes.heads.append(("a symbol", str(step), str(coder.code), str(coder.range)))
        return step


def fenced(document, name):
    return re.search(rf"^```{name}\n(.*?)^```", document, re.S | re.M).group(1)


def fenced_bytes(document, name):
    return bytes.fromhex(re.sub(r";.*", "", fenced(document, name)))


def tables(document):
    """All tables behind the frame of columns, as lists of rows of cells."""
    text = document[document.index("```hex columns"):]
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        yield [[cell.strip() for cell in line.strip("|\n").split("|")]
               for line in table.splitlines()[2:]]


def compare(what, said, documented):
    for i, (one, other) in enumerate(zip(said, documented)):
        if one != other:
            sys.exit(f"FORMAT.md, {what}, row {i}: it says {other}, and it is {one}")
    if len(said) != len(documented):
        sys.exit(f"FORMAT.md, {what}: {len(documented)} rows of {len(said)}")


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        document = file.read()
    logistic = [int(number) for number in fenced(document, "text logistic").split()]
    compare("logistic", list(steps.LOGISTIC_UP), logistic)

    columns.RangeIn, columns.Mixture = NotingCoder, NotingMixture
    birth = decode_birth(fenced_bytes(document, "hex birth"))
    list(readings(decode_frame(fenced_bytes(document, "hex columns")), birth))
    notes = NotingCoder.notes
    wave_head, wave_steps, numeric = list(tables(document))[:3]
    heads = [(read, gives, code, width) for read, gives, _, code, width in wave_head]
    symbols = [("a symbol", *row[-3:]) for row in wave_steps]
    heads += symbols + [(read, gives, code, width) for read, gives, _, code, width in numeric]
    compare("what is read", notes.heads, heads)
    # Without i and b: the bucket is in P(b).
    compare("steps", notes.steps[: len(wave_steps)], [row[1:7] + row[8:] for row in wave_steps])
    for row, (*_, weights, place, below, share, _, _, _) in zip(
            [row for row in numeric if row[0] == "a symbol"], notes.steps[len(wave_steps):]):
        said = re.findall(r"\d+", row[2])
        if [said[0], said[2], said[3]] != [place, below, share]:
            sys.exit(f"FORMAT.md, numerics: {row[2]}, and it is {place} {below} {share}")
        if "weights" in row[2] and weights not in row[2]:
            sys.exit(f"FORMAT.md, numerics: {row[2]}, and the weights are {weights}")


main()
