#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sizes.py [--check] [--build-dir DIR] [m0|m4|rv32...] - makes the figures of `size` again.

Builds the target `size` of the presets (all three by default) in DIR, and writes

  docs/SIZES.md                the tables between <!-- size --> and <!-- /size -->
  examples/size/targets.inc    the same for htel-size

--check writes nothing: it fails when a figure of flash there is more than 3 % off, or one of RAM is
another. DIR is build/cross by default. Sources of nanopb, zlib and mbedTLS are fetched into it once
(ports/cmake/fetch_sources.sh); HEALTHTEL_SOURCES names a folder that has them already. Exit status
77 where a cross compiler or the sources are not to be had.
"""
import argparse
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/SIZES.md"
TARGETS = ROOT / "examples/size/targets.inc"
BEGIN, END = "<!-- size -->\n", "<!-- /size -->\n"
OFF_MAX = 0.03
OFF_BYTES = 16  # of a small stage more than 3 %
RAM_TABLE = 3  # of those in docs/SIZES.md
ARM = ("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
RISCV = ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf")
PRESETS = {"m0": ("Cortex-M0+", ARM), "m4": ("Cortex-M4", ARM), "rv32": ("rv32imac", RISCV)}
PACKAGES = ("nanopb", "zlib", "mbedtls")
# What a choice adds: (words, device, parts of it that count or None for all, device to take off)
CORE = ("core", "generated", "nanopb", "zlib")
CHOICES = (
    ("core", "core with nanopb: `FAST`, frames in RAM", "core", CORE, None),
    ("flash", "frames on flash instead, more", "flash", CORE, "core"),
    ("best", "`HTEL_CODING_BEST`, more", "best", CORE, "core"),
    ("zlib", "`HTEL_CODING_ZLIB`, more (zlib itself and ours)", "zlib", CORE, "core"),
    ("both", "both levels, more", "full", CORE, "core"),
    ("mqtt", "link: ports/mqtt", "link", ("ports/mqtt",), None),
    ("tls", "link: ports/mbedtls", "link", ("ports/mbedtls",), None),
    ("mbedtls", "link: mbedTLS 2.28, what stays of it", "link", ("mbedTLS",), None),
    ("texts", "texts of `htel_strerror`, where it is called", "core", ("texts",), None),
    ("words", "texts that say what is wrong with a configuration (`HEALTHTEL_TEXTS`), more",
     "texts", CORE, "core"),
    ("runtime", "compiler and C library (memcpy, 64-bit division)", "core", ("runtime",), None),
    ("runtime_link", "the same with the link, more", "link", ("runtime",), "core"),
)


def fail(text, status=1):
    print(f"sizes: {text}", file=sys.stderr)
    sys.exit(status)


def run(command, what, over_is_fine=False):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          cwd=ROOT, timeout=1500, check=False)
    if done.returncode == 0:
        return
    over = re.search(r"^limit of .* OVER by .*$", done.stdout, re.M)
    if over and over_is_fine:
        print(f"sizes: {over.group(0)}", file=sys.stderr)
        return
    if not over:
        print(done.stdout[-6000:])
    fail(over.group(0) if over else f"{what} failed")


def sources_get(build):
    given = os.environ.get("HEALTHTEL_SOURCES")
    folder = pathlib.Path(given) if given else build / "sources"
    if any(not (folder / package / ".complete").exists() for package in PACKAGES):
        if given:
            fail(f"HEALTHTEL_SOURCES does not have {', '.join(PACKAGES)}")
        fetched = subprocess.run(["bash", ROOT / "ports/cmake/fetch_sources.sh", folder, *PACKAGES],
                                 timeout=600, check=False)
        if fetched.returncode != 0:
            fail("skipped: the sources of nanopb, zlib and mbedTLS cannot be fetched", 77)
    return folder


def measure(preset, build, over_is_fine):
    """size.json of the preset, whose build is alone at work in its folder."""
    title, (compiler, packages) = PRESETS[preset]
    if shutil.which(compiler) is None:
        fail(f"skipped: no {compiler}, so nothing for {title} (Debian: {packages})", 77)
    with open(build / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = sources_get(build)
    target = build / preset
    target.mkdir(exist_ok=True)
    with open(target / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        roots = [f"-D{package.upper()}_ROOT={folder / package}" for package in PACKAGES]
        run(["cmake", "--preset", preset, "-B", target, *roots], f"configuring {preset}")
        run(["cmake", "--build", target, "--target", "size"], f"the target size of {preset}",
            over_is_fine)
        return json.loads((target / "size.json").read_text())


def choices(report):
    def total(device, parts):
        return sum(s["linked"][device] for s in report["stages"] if s["part"] in parts)

    return {key: total(device, parts) - (total(without, parts) if without else 0)
            for key, _, device, parts, without in CHOICES}


def stages(report):
    """{(part, stage): the most that any device has of it}"""
    return {(s["part"], s["stage"]): max(s["linked"].values()) for s in report["stages"]
            if max(s["linked"].values()) > 8 and s["part"] not in ("runtime",)}


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def document(reports):
    titles = [PRESETS[preset][0] for preset in reports]
    by_choice = {preset: choices(report) for preset, report in reports.items()}
    by_stage = {preset: stages(report) for preset, report in reports.items()}

    def cells(values):
        return [f"{value:,}" if value else "" for value in values]

    lines = table(["", *titles], [
        [words, *cells(by_choice[preset][key] for preset in reports)]
        for key, words, *_ in CHOICES])
    lines += ["", "By stage, linked, in the device that has most of it:", ""]
    first = next(iter(by_stage.values()))
    names = sorted(first, key=lambda key: (-first[key] if key[0] == "core" else 1))
    lines += table(["stage", *titles], [
        [name if part == "core" else f"{name} ({part})" if part != name else name,
         *cells(by_stage[preset].get((part, name), 0) for preset in reports)]
        for part, name in names])
    lines += ["", "RAM of a client's parts, each; the caller's memory:", ""]
    state = {preset: report["state"] for preset, report in reports.items()}
    lines += table(["", *titles], [
        [name.replace("_", " "), *cells(state[preset][name] for preset in reports)]
        for name in next(iter(state.values()))])
    return "\n".join(lines) + "\n"


def targets(reports):
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */",
             "/* targets.inc - what the core takes on machines, by tests/bench/sizes.py: not to be "
             "edited. */"]
    for preset, report in reports.items():
        lines.append(f'{{"{preset}", "{PRESETS[preset][0]}",')
        pairs = [f".{key} = {value}" for key, value in sorted(report["state"].items())]
        lines.append(" .state = {" + ",\n           ".join(pairs) + "},")
        pairs = [f".{key} = {value}" for key, value in choices(report).items()]
        lines.append(" .flash = {" + ",\n           ".join(pairs) + "}},")
    return "\n".join(lines) + "\n"


def block_of(text):
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        fail(f"docs/SIZES.md lacks the lines {BEGIN.strip()} and {END.strip()}")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return text[:begin], text[begin:end], text[end:]


def figures(text):
    """{(table, row, column): number} of the tables of a block."""
    found, head, tables = {}, [], 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if "|" in line else []
        if not cells:
            head = []
        elif not head:
            head = cells
            tables += 1
        elif not cells[0].startswith("---"):
            found.update({(tables, cells[0], head[column]): int(cell.replace(",", "") or 0)
                          for column, cell in enumerate(cells) if 0 < column < len(head)})
    return found


def flat(text):
    """{(target, group, member): number} of targets.inc."""
    found = {}
    for name, body in re.findall(r'\{"(\w+)", "[^"]*",\n(.*?)\}\},\n', text + "\n", re.S):
        for group, members in re.findall(r"\.(state|flash) = \{(.*?)(?:\},|$)", body, re.S):
            for member, number in re.findall(r"\.(\w+) = (\d+)", members):
                found[name, group, member] = int(number)
    return found


def off(old, new):
    return abs(new - old) > max(OFF_MAX * old, OFF_BYTES)


def check(reports):
    stale = []
    columns = {PRESETS[preset][0] for preset in reports}
    written = {key: number for key, number in figures(block_of(DOCUMENT.read_text())[1]).items()
               if key[2] in columns}
    measured = figures(document(reports))
    count = len(measured)
    for key in sorted(written.keys() | measured.keys()):
        old, new = written.get(key, 0), measured.get(key, 0)
        if old != new if key[0] == RAM_TABLE else off(old, new):
            stale.append(f"docs/SIZES.md says {old:,} for {key[1]} on {key[2]}, it is {new:,}")
    written, measured = flat(TARGETS.read_text()), flat(targets(reports))
    for key in sorted(key for key in written.keys() | measured.keys() if key[0] in reports):
        old, new = written.get(key, 0), measured.get(key, 0)
        if old != new if key[1] == "state" else off(old, new):
            stale.append(f"targets.inc says {old:,} for {key[2]} of {key[0]}, it is {new:,}")
    for line in stale:
        print(f"sizes: {line}", file=sys.stderr)
    if stale:
        fail("figures are stale: run tests/bench/sizes.py, and look at what grew")
    print(f"sizes: {count} figures for {', '.join(sorted(columns))} as they are")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--build-dir", type=pathlib.Path, default=ROOT / "build/cross")
    parser.add_argument("presets", nargs="*", metavar="m0|m4|rv32")
    arguments = parser.parse_args()
    for preset in arguments.presets:
        if preset not in PRESETS:
            parser.error(f"no preset '{preset}': {', '.join(PRESETS)}")
    if arguments.presets and not arguments.check:
        parser.error("what is written needs all presets: name them only with --check")
    build = arguments.build_dir.resolve()
    build.mkdir(parents=True, exist_ok=True)
    reports = {preset: measure(preset, build, not arguments.check)
               for preset in arguments.presets or PRESETS}
    if arguments.check:
        check(reports)
        return
    before, _, after = block_of(DOCUMENT.read_text())
    DOCUMENT.write_text(before + document(reports) + after)
    TARGETS.write_text(targets(reports))
    print("sizes: docs/SIZES.md and examples/size/targets.inc are written")


if __name__ == "__main__":
    main()
