#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""size_table.py - flash and RAM of the library by stage, from its archives and a link map.

Two figures of flash for each object: `object` is what its sections hold (code, constants, initial
values), an upper bound; `linked` is what stayed in a device that calls every function of the
client, after the linker has thrown away unused sections. RAM is static data: the library has none
of its own, its memory is the caller's (htel_memory_needed).

The limit holds for the object sum of what a device needs: the core without the decoder and zlib,
with nanopb and the generated code. Exit status 1 above it.
"""
import argparse
import json
import re
import subprocess
import sys

SERVER_ONLY = {"decode"}  # reads frames: for ingests and tools
GENERATED = {"healthtel.pb"}


def stage_name(member):
    return re.sub(r"\.(c\.)?(o|obj)$", "", member)


def archive_kind(path):
    name = path.rsplit("/", 1)[-1]
    return "nanopb" if "nanopb" in name else "zlib" if "zlib" in name else "core"


def object_sizes(objdump, archive):
    """{member: (flash, ram)} from the section headers."""
    text = subprocess.run([objdump, "-h", archive], check=True, capture_output=True, text=True).stdout
    sizes, member, section, size = {}, None, None, 0
    for line in text.splitlines():
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


def measure(arguments):
    linked = linked_sizes(arguments.map)
    stages, own = [], set()
    for archive in arguments.archives:
        base = archive.rsplit("/", 1)[-1]
        own.add(base)
        for member, (flash, ram) in object_sizes(arguments.objdump, archive).items():
            name = stage_name(member)
            kind = archive_kind(archive)
            if name in SERVER_ONLY:
                kind = "decoder"
            elif name in GENERATED:
                kind = "generated"
            stages.append({"stage": name, "part": kind, "flash_object": flash,
                           "flash_linked": linked.get((base, member), 0), "ram_static": ram})
    runtime = sum(size for (archive, _), size in linked.items() if archive and archive not in own)
    return stages, runtime


def total(stages, column, *parts):
    return sum(stage[column] for stage in stages if stage["part"] in parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", nargs="+")
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("--map", required=True)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--json-file", help="write the JSON here too")
    arguments = parser.parse_args()

    stages, runtime = measure(arguments)
    device = ("core", "generated", "nanopb")
    has_zlib = total(stages, "flash_object", "zlib") > 0
    report = {
        "stages": stages,
        "device": {"flash_object": total(stages, "flash_object", *device),
                   "flash_linked": total(stages, "flash_linked", *device),
                   "ram_static": total(stages, "ram_static", *device)},
        "zlib": {"flash_object": total(stages, "flash_object", "zlib"),
                 "flash_linked": total(stages, "flash_linked", "zlib")},
        "decoder": {"flash_object": total(stages, "flash_object", "decoder")},
        "compiler_runtime": {"flash_linked": runtime},
        "limit": None if has_zlib else arguments.limit,
    }
    over = not has_zlib and arguments.limit and report["device"]["flash_object"] > arguments.limit
    text = json.dumps(report, indent=2)
    if arguments.json_file:
        with open(arguments.json_file, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    if arguments.json:
        print(text)
        return 1 if over else 0

    def row(name, *figures):
        print(f"{name:<34}" + "".join(f"{figure:>10}" for figure in figures))

    row("stage", "object", "linked", "RAM")
    for part in ("core", "generated", "nanopb", "decoder", "zlib"):
        for stage in sorted((s for s in stages if s["part"] == part), key=lambda s: s["stage"]):
            label = stage["stage"] if part == "core" else f"{stage['stage']} ({part})"
            row(label, stage["flash_object"], stage["flash_linked"], stage["ram_static"])
    row("compiler and C library runtime", "", runtime, "")
    row("device: core, generated, nanopb", *report["device"].values())
    if has_zlib:
        row("device with zlib", *(report["device"][k] + report["zlib"][k]
                                  for k in ("flash_object", "flash_linked")), "")
    row("device and decoder", report["device"]["flash_object"] +
        report["decoder"]["flash_object"], "", "")
    if not has_zlib and arguments.limit:
        used = report["device"]["flash_object"]
        print(f"limit {arguments.limit}: {'OVER by' if over else 'free'} {abs(arguments.limit - used)}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
