#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cut_power.py SOCKET ADDRESS COUNT - stops an emulated machine for good, prints COUNT words of it.

What a device had recorded when its power failed, nobody could know; here the emulator is asked. It
is left standing still: whoever started it kills it."""
import json
import re
import socket
import sys


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(sys.argv[1])
        stream = connection.makefile("rw", encoding="utf-8")

        def ask(command, **arguments):
            stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            stream.flush()
            for line in stream:
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    sys.exit(f"{command}: {answer['error']['desc']}")
            sys.exit(f"{command}: the emulator has gone")

        stream.readline()  # its greeting
        ask("qmp_capabilities")
        ask("stop")
        text = ask("human-monitor-command",
                   **{"command-line": f"x /{int(sys.argv[3])}xw 0x{int(sys.argv[2], 16):x}"})
        words = [int(word, 16) for line in text.splitlines()
                 for word in re.findall(r"0x([0-9a-f]{8})\b", line.split(":", 1)[1])]
        if len(words) != int(sys.argv[3]):
            sys.exit(f"the emulator says: {text}")
        print(*words)


main()
