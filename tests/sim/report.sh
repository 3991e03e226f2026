#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# report.sh - the reports of htel-fleet, opened in headless Chromium.
#
# Three runs: faults of all kinds; a storm; and one that breaks its promise (its devices are allowed
# 4 KB of memory), with a title that tries to end the element that the JSON is in and with a seed
# that a double cannot hold. report.py opens each report, wide and as narrow as a telephone.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../examples/lib.sh"
say() { echo "report: $*"; }

command -v chromium >/dev/null || { say "chromium is not installed: skipped"; exit 77; }
command -v python3 >/dev/null || { say "python3 is not installed: skipped"; exit 77; }
work_begin report
if ! "$build/htel-fleet" --devices 1 --hours 1 --faults none --report "$work/first.html" \
    >/dev/null 2>"$work/error"; then
  if grep -q libjs-chart.js "$work/error"; then
    say "built without Chart.js (libjs-chart.js): skipped"
    exit 77
  fi
  cat "$work/error"
  exit 1
fi

cat >"$work/hostile.ini" <<EOF
[run]
title = </script><script>document.title="hostile"</script><!-- & "'$(printf '\xe2\x80\xa8')
[device]
memory-bytes = 4 KB
EOF

# run NAME EXIT ARGUMENTS...
run() {
  local name=$1 wanted=$2 status
  shift 2
  timeout 120 "$build/htel-fleet" "$@" --json --report "$work/$name.html" >"$work/$name.json"
  status=$?
  [ $status = "$wanted" ] || { say "$name: ended with $status, not $wanted"; exit 1; }
  [ ! -e "$work/$name.html.part" ] || { say "$name: half a report is left"; exit 1; }
}
run faults 0 --devices 20 --hours 2 --seed 3
run storm 0 --scenario storm --devices 500 --seed 1
run broken 1 --scenario "$work/hostile.ini" --devices 3 --hours 1 --seed 18446744073709551615

cp "$work/faults.html" "$work/before.html"
run faults 0 --devices 20 --hours 2 --seed 3
cmp "$work/before.html" "$work/faults.html" || { say "the same run, another report"; exit 1; }

"$build/htel-fleet" --devices 1 --hours 1 --report "$work/there/is/none.html" >/dev/null 2>&1
[ $? = 2 ] || { say "a report that cannot be written is not told of"; exit 1; }

# The command in a run makes it again: of a file whose name a shell would take apart, too.
mkdir "$work/there"
printf '[run]\ncell = 20\n' >"$work/there/it's \$x.ini"
run file 0 --scenario "$work/there/it's \$x.ini" --devices 60 --hours 1 --cell 50
python3 - "$work/file.json" "$build" <<'EOF' || { say "its command makes another run"; exit 1; }
import json, os, subprocess, sys
first = json.load(open(sys.argv[1]))
path = f"{sys.argv[2]}:{os.environ['PATH']}"
ran = subprocess.run(first["command"] + " --json", shell=True, capture_output=True, timeout=120,
                     env={**os.environ, "PATH": path}, check=False)
again = json.loads(ran.stdout or "{}")
for one in (first, again):
    one.pop("machine", None)
sys.exit(first != again)
EOF

mkfifo "$work/pipe"
timeout 60 "$build/htel-fleet" --devices 1 --hours 1 --report "$work/pipe" >/dev/null 2>&1
[ $? = 2 ] && [ -p "$work/pipe" ] || { say "what is not a file was made one"; exit 1; }

for name in faults storm broken; do
  python3 "$here/report.py" "$work/$name.html" "$work/$name.json" "$work" || exit 1
done
say "3 reports say what their runs' JSON says"
