#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""size_table.py - flash and RAM of the library by stage, from its archives and link maps.

Of each object: `object`, all that its sections hold (code, constants, initial values) in the
largest of its builds; and for each device what stays of it there once linked. An object of which
nothing stays in any device is for servers and tools: it reads frames.

The texts of htel_strerror are a part of their own, since a device that does not call it (it can
log the number) does not carry them. A limit is for a linked device without those texts and without
the runtime, with nanopb and the generated code. Exit status 1 above one.

RAM: the library has no static data, its memory is the caller's. What its structs take is listed
below the table; `htel-size` adds them up for a configuration.
"""
import argparse
import json
import re
import subprocess
import sys

PARTS = {"healthtel_nanopb": "nanopb", "healthtel_zlib": "zlib", "size_mqtt": "ports/mqtt",
         "size_tls": "ports/mbedtls", "healthtel_mbedtls_library": "mbedTLS"}
WHOLE = ("nanopb", "zlib", "mbedTLS")  # of others: one line each
ORDER = ("core", "generated", "nanopb", "zlib", "texts", "ports/mqtt", "ports/mbedtls", "mbedTLS",
         "runtime")
LIMITED = ("core", "generated", "nanopb", "zlib")


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
        if not re.match(r"\.(text|rodata|srodata|data|sdata|ARM\.exidx|ARM\.extab)", name):
            continue
        base = file.rsplit("/", 1)[-1]
        where = re.match(r"(.+)\((.+)\)$", base)
        key = (where.group(1), where.group(2)) if where else ("", base)
        sizes[key] = sizes.get(key, 0) + int(size, 16)
    return sizes


def archive_name(path):
    return re.sub(r"^lib|\.a$", "", path.rsplit("/", 1)[-1])


def part_of(archive, stage):
    if archive in PARTS:
        return PARTS[archive]
    return {"healthtel.pb": "generated", "error": "texts"}.get(stage, "core")


def measure(arguments):
    devices = dict(text.split("=", 1) for text in arguments.device)
    linked = {device: linked_sizes(path) for device, path in devices.items()}
    stages, own = {}, set()
    for path in dict.fromkeys(arguments.archive):
        base = path.rsplit("/", 1)[-1]
        own.add(base)
        for member, (flash, ram) in object_sizes(arguments.objdump, path).items():
            name = re.sub(r"\.(c\.)?(o|obj)$", "", member)
            part = part_of(archive_name(path), name)
            name = part if part in WHOLE else name
            stage = stages.setdefault((part, name), {
                "stage": name, "part": part, "object": 0, "ram_static": 0,
                "linked": dict.fromkeys(devices, 0)})
            if part in WHOLE:
                stage["object"] += flash
                stage["ram_static"] += ram
            else:
                stage["object"] = max(stage["object"], flash)
                stage["ram_static"] = max(stage["ram_static"], ram)
            for device, sizes in linked.items():
                stage["linked"][device] += sizes.get((base, member), 0)
    runtime = {device: sum(size for (archive, _), size in sizes.items()
                           if archive and archive not in own)
               for device, sizes in linked.items()}
    stages["runtime", "runtime"] = {"stage": "compiler and C library", "part": "runtime",
                                    "object": 0, "ram_static": 0, "linked": runtime}
    return sorted(stages.values(), key=lambda s: (ORDER.index(s["part"]), -s["object"]))


def state_sizes(nm, path):
    listing = subprocess.run([nm, "-S", path], check=True, capture_output=True, text=True)
    found = re.findall(r"^[0-9a-f]+ ([0-9a-f]+) \w state_(\w+)$", listing.stdout, re.M)
    return {name: int(size, 16) for size, name in found}


def of_parts(stages, device, parts):
    return sum(stage["linked"][device] for stage in stages if stage["part"] in parts)


def print_table(report):
    devices = list(report["all"])

    def row(name, *figures):
        print(f"{name:<24}" + "".join(f"{figure:>9}" for figure in figures))

    print(f"{report['cpu']}: bytes of flash; `object` whole, the others linked into that device\n")
    row("stage", "object", *devices, "RAM")
    for stage in report["stages"]:
        if any(stage["linked"].values()):
            row(stage["stage"], stage["object"] or "", *stage["linked"].values(),
                stage["ram_static"])
    print("-" * (42 + 9 * len(devices)))
    row("limited parts", "", *report["limited"].values())
    row("all", "", *report["all"].values())
    tools = [stage["stage"] for stage in report["stages"] if not any(stage["linked"].values())]
    print("not in a device:", ", ".join(tools))
    print("\nRAM of a client's parts, bytes each (the caller's; htel-size adds them up):")
    print("  " + ", ".join(f"{name} {size}" for name, size in report["state"].items()))
    for device, limit in report["limits"].items():
        free = limit - report["limited"][device]
        print(f"limit of {device}: {limit}, {'free' if free >= 0 else 'OVER by'} {abs(free)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", required=True)
    parser.add_argument("--device", action="append", required=True, metavar="NAME=MAP")
    parser.add_argument("--archive", action="append", required=True)
    parser.add_argument("--state", required=True, help="object file of size_state.c")
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--nm", required=True)
    parser.add_argument("--limit", action="append", default=[], metavar="DEVICE=BYTES")
    parser.add_argument("--json-file", required=True, help="write the figures here")
    parser.add_argument("--json", action="store_true", help="print those instead of a table")
    arguments = parser.parse_args()

    stages = measure(arguments)
    devices = list(stages[0]["linked"])
    limits = {device: int(limit) for device, limit in
              (text.split("=", 1) for text in arguments.limit) if int(limit) > 0}
    report = {
        "cpu": arguments.cpu, "stages": stages, "state": state_sizes(arguments.nm, arguments.state),
        "limited": {device: of_parts(stages, device, LIMITED) for device in devices},
        "all": {device: of_parts(stages, device, ORDER) for device in devices},
        "limits": limits}
    text = json.dumps(report, indent=2)
    with open(arguments.json_file, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    if arguments.json:
        print(text)
    else:
        print_table(report)
    return 1 if any(report["limited"][device] > limit for device, limit in limits.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
