#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""recording.py IN.csv OUT.c - a recording of one channel as a table for the firmware."""
import sys


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="ascii") as file:
        values = [int(line) for line in file.read().split("\n")[1:] if line]
    if not values or min(values) < -32768 or max(values) > 32767:
        sys.exit(f"{sys.argv[1]}: no column of 16-bit integers")
    with open(sys.argv[2], "w", encoding="ascii") as file:
        file.write('#include "device.h"\n\n')
        file.write(f"const uint32_t recording_samples = {len(values)};\n")
        file.write(f"const int16_t recording[{len(values)}] = {{\n")
        for at in range(0, len(values), 16):
            file.write("  " + ", ".join(str(v) for v in values[at : at + 16]) + ",\n")
        file.write("};\n")


main()
