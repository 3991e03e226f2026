# SPDX-License-Identifier: Apache-2.0
"""report.py REPORT.html RUN.json DIRECTORY - opens a report of htel-fleet in headless Chromium.

A copy of it gets a script (report_look.js) that tells what it sees, in frames of 1200 and 360
pixels; that is held against the run's JSON: every figure, every table of a plot. Nothing may be
loaded, nothing may stand in the console, nothing may be wider than the frame, and each plot must
have been drawn.
"""

import html
import json
import pathlib
import re
import subprocess
import sys

WIDTHS = (1200, 360)
TIMEOUT_S = 90
NESTED = ("configuration", "faults", "told_by_cause", "storm")
THIN_SPACE = "\u202f"
# Chromium's own windows are 500 pixels wide at least: the report is in a frame.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><pre id="looked"></pre>
<script>addEventListener("message", (e) => document.getElementById("looked").textContent = e.data)
</script><iframe src="{page}" style="border: 0" width="{width}" height="1000"></iframe>
"""


def look(report, directory, width):
    """What the injected script saw."""
    script = pathlib.Path(__file__).with_name("report_look.js").read_text()
    page = report.read_text()
    end = page.rindex("</body>")
    copy = directory / "looked-at.html"
    copy.write_text(f"{page[:end]}<script>{script}</script>{page[end:]}")
    frame = directory / "frame.html"
    frame.write_text(FRAME.format(width=width, page=copy.name))
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--no-first-run", "--disable-extensions", "--disable-background-networking",
        f"--user-data-dir={directory}/chromium", "--window-size=1400,1100",
        "--virtual-time-budget=5000", "--enable-logging=stderr", "--v=0", "--dump-dom",
        frame.as_uri(),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    console = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    seen = re.search(r'<pre id="looked">(.+?)</pre>', ran.stdout, re.DOTALL)
    if console or not seen:
        sys.exit(f"report: {report.name}: console: {console or ran.stderr[-2000:]}")
    return json.loads(html.unescape(seen.group(1)))


def text_of(value):
    """A JSON value as JavaScript writes it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def figures_of(run):
    """The figures that the page must have, by id."""
    figures = {}

    def add(prefix, members):
        for name, value in members.items():
            if not isinstance(value, (dict, list)):
                figures[f"figure-{prefix}{name}"] = text_of(value)

    add("", run)
    for name in NESTED:
        add(f"{name}-", run.get(name, {}))
    return figures


def tables_of(run):
    """The columns of the tables, without their first (which has names), by the plot's id."""
    series = run["series"]
    tables = {
        "backlog": [series["backlog_frames"]],
        "online": [series["online"], series["backlog_devices"]],
        "bytes": [series["up_bytes"], series["down_bytes"]],
        "delays": [[d["readings"] for d in run["delays"]], [d["alarms"] for d in run["delays"]]],
    }
    if run["readings_told"] > 0:
        tables["causes"] = [list(run["told_by_cause"].values())]
    if run["flash_wear"]:
        tables["wear"] = [[w["devices"] for w in run["flash_wear"]]]
    if "storm" in run:
        connects = run["storm"]["connects_by_second"]
        while connects and connects[-1] == 0:
            connects.pop()
        tables["storm"] = [connects, [run["storm"]["connects_limit"]] * len(connects)]
    return tables


def numbers_of(rows):
    """The columns of a table that was seen, as numbers."""
    return [[int(cell.replace(THIN_SPACE, "")) for cell in column] for column in zip(*rows)]


def differences(run, seen, width):
    """All that is not as it should be."""
    if seen["width"] != width:
        yield f"the frame is {seen['width']} wide"
    if seen["scroll_width"] > seen["width"]:
        yield f"the page is {seen['scroll_width']} wide: {seen['wide']}"
    if seen["resources"]:
        yield f"loaded: {seen['resources']}"
    if seen["policy_holds"] is not True:
        yield "the page may load things"
    wanted = figures_of(run)
    for name in sorted(wanted.keys() | seen["figures"].keys()):
        there = seen["figures"].get(name, {"value": None, "text": None})
        if there["value"] != wanted.get(name):
            yield f"{name} is {there['value']}, in JSON {wanted.get(name)}"
        elif there["text"].replace(THIN_SPACE, "") != there["value"]:
            yield f"{name} is shown as {there['text']}"
    tables = tables_of(run)
    if tables.keys() != seen["tables"].keys():
        yield f"plots: {sorted(seen['tables'])}, not {sorted(tables)}"
    for name, columns in tables.items():
        rows = seen["tables"].get(name, [])
        if numbers_of([row[1:] for row in rows]) != columns:
            yield f"the table of {name} differs"
        pixels = seen["canvases"].get(name, 0)
        if pixels < 30:
            yield f"{pixels} pixels of data are drawn in {name}"
    worst = [[text_of(value) for value in device.values()] for device in run["worst_devices"]]
    if [[cell.replace(THIN_SPACE, "") for cell in row] for row in seen["worst"]] != worst:
        yield "the worst devices differ"
    replays = [violation.get("replay", "") for violation in run["violation_list"]]
    if [row[-1] for row in seen["violations"]] != replays:
        yield "the violations differ"
    if seen["verdict_class"] != f"verdict {run['verdict']}":
        yield f"the verdict looks like {seen['verdict_class']}"
    if seen["document_title"] != f"htel-fleet report: {run['scenario']}, seed {run['seed']}":
        yield f"the title is {seen['document_title']}"


def embedded_is(report, run):
    """Whether the run stands in the page with nothing that could end its element or a line."""
    text = report.read_text().split('id="run">')[1].split("</script>")[0]
    return not re.search("[<>&\u2028\u2029]", text) and json.loads(text) == run


def main():
    report, json_path, directory = (pathlib.Path(name).resolve() for name in sys.argv[1:4])
    for width in WIDTHS:
        run = json.loads(json_path.read_text())
        del run["machine"]
        if not embedded_is(report, run):
            sys.exit(f"report: {report.name}: not its run's JSON, or not safely put into the page")
        found = list(differences(run, look(report, directory, width), width))
        for what in found:
            print(f"report: {report.name}, {width} wide: {what}")
        if found:
            sys.exit(1)


if __name__ == "__main__":
    main()
