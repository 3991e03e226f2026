#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""size_table.py - flash and RAM of the library by stage, from its archives and a link map.

Two figures of flash for each object: `object` is all that its sections hold (code, constants,
initial values), `linked` is what stays in a device that calls every function of the client (and
for the runtime what that device takes from compiler and C library). An object of which nothing
is linked is for servers and tools: it reads frames.

The texts of htel_strerror are a part of their own, since a device that does not call it (it can
log the number) does not carry them. The limit is for the linked core without those texts, with
nanopb and the generated code, without zlib. Exit status 1 above it.

RAM is static data: the library has none, its memory is the caller's (htel_memory_needed).
"""
import argparse
import json
import re
import subprocess
import sys

GENERATED = {"healthtel.pb"}
TEXTS = {"error"}


def stage_name(member):
    return re.sub(r"\.(c\.)?(o|obj)$", "", member)


def object_sizes(objdump, archive):
    """{member: (flash, ram)} from the section headers."""
    listing = subprocess.run([objdump, "-h", archive], check=True, capture_output=True, text=True)
    sizes, member, section, size = {}, None, None, 0
    for line in listing.stdout.splitlines():
        start = re.match(r"(\S+):\s+file format", line)
        header = re.match(r"\s*\d+\s+(\S+)\s+([0-9a-f]{8})\s", line)
        if start:
            member = start.group(1)
            sizes[member] = (0, 0)
        elif header:
            section, size = header.group(1), int(header.group(2), 16)
        elif member and section and "ALLOC" in line:
            flash, ram = sizes[member]
            flash += size if "LOAD" in line else 0
            ram += size if "READONLY" not in line else 0
            sizes[member] = (flash, ram)
            section = None
    return sizes


def linked_sizes(path):
    """{(archive, member): bytes of flash} from GNU ld's map; archive and member as base names."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text[text.index("Linker script and memory map"):]
    text = re.sub(r"\n (\.\S+)\n\s+0x", r"\n \1 0x", text)
    sizes = {}
    for name, size, file in re.findall(r"\n (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)", text):
        if not re.match(r"\.(text|rodata|data|ARM\.exidx|ARM\.extab)", name):
            continue
        base = file.rsplit("/", 1)[-1]
        where = re.match(r"(.+)\((.+)\)$", base)
        key = (where.group(1), where.group(2)) if where else ("", base)
        sizes[key] = sizes.get(key, 0) + int(size, 16)
    return sizes


def part_of(archive, name, flash_linked):
    if "nanopb" in archive or "zlib" in archive:
        return "nanopb" if "nanopb" in archive else "zlib"
    if name in GENERATED:
        return "generated"
    if name in TEXTS:
        return "texts"
    return "core" if flash_linked else "not in a device"


def measure(arguments):
    linked = linked_sizes(arguments.map)
    stages, own = [], set()
    for archive in arguments.archives:
        base = archive.rsplit("/", 1)[-1]
        own.add(base)
        for member, (flash, ram) in object_sizes(arguments.objdump, archive).items():
            name = stage_name(member)
            flash_linked = linked.get((base, member), 0)
            stages.append({"stage": name, "part": part_of(base, name, flash_linked),
                           "flash_object": flash, "flash_linked": flash_linked,
                           "ram_static": ram})
    runtime = sum(size for (archive, _), size in linked.items() if archive and archive not in own)
    return stages, runtime


def total(stages, *parts):
    return {column: sum(stage[column] for stage in stages if stage["part"] in parts)
            for column in ("flash_object", "flash_linked", "ram_static")}


def print_table(report, over):
    def row(name, *figures):
        print(f"{name:<34}" + "".join(f"{figure:>10}" for figure in figures))

    row("stage", "object", "linked", "RAM")
    for part in ("core", "generated", "nanopb", "texts", "zlib", "not in a device"):
        of_part = [stage for stage in report["stages"] if stage["part"] == part]
        for stage in sorted(of_part, key=lambda s: s["stage"]):
            label = stage["stage"] + ("" if part == "core" else f" ({part})")
            row(label, stage["flash_object"], stage["flash_linked"], stage["ram_static"])
    print("-" * 64)
    row("core, generated and nanopb", *report["device"].values())
    row("texts of htel_strerror", *report["texts"].values())
    row("compiler and C library runtime", "", report["runtime"]["flash_linked"], "")
    if report["zlib"]["flash_object"]:
        row("zlib", *report["zlib"].values())
    row("all of the above", "", sum(report[part]["flash_linked"] for part in
                                    ("device", "texts", "runtime", "zlib")), "")
    if report["limit"]:
        free = report["limit"] - report["device"]["flash_linked"]
        print(f"limit {report['limit']} for core, generated and nanopb, linked: "
              f"{'OVER by' if over else 'free'} {abs(free)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", nargs="+")
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--map", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--json-file", required=True, help="write the figures here")
    parser.add_argument("--json", action="store_true", help="print those instead of a table")
    arguments = parser.parse_args()

    stages, runtime = measure(arguments)
    zlib = total(stages, "zlib")
    report = {"stages": stages, "device": total(stages, "core", "generated", "nanopb"),
              "texts": total(stages, "texts"), "runtime": {"flash_linked": runtime}, "zlib": zlib,
              "limit": None if zlib["flash_object"] else arguments.limit}
    over = bool(report["limit"]) and report["device"]["flash_linked"] > report["limit"]
    text = json.dumps(report, indent=2)
    with open(arguments.json_file, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    if arguments.json:
        print(text)
    else:
        print_table(report, over)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
