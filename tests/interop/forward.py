# SPDX-License-Identifier: Apache-2.0
"""forward.py PORT TARGET... - a TCP port of 127.0.0.1 in front of several others.

Each new connection goes to the next target that takes it; when either side ends, so does the other.
What a load balancer in front of a cluster of brokers does, and nothing else. It sees no more than
TLS records.
"""
import socket
import sys
import threading


def pump(source, sink):
    """Passes on what comes from one side until it ends, then ends both."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for side in (source, sink):
        try:
            side.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def connect(targets, turn):
    """The first of them, from `turn` on, that takes a connection."""
    for i in range(len(targets)):
        try:
            return socket.create_connection(("127.0.0.1", targets[(turn + i) % len(targets)]), 2)
        except OSError:
            continue
    return None


def serve(near, targets, turn):
    with near:
        far = connect(targets, turn)
        if far is None:
            return
        with far:
            far.settimeout(None)
            back = threading.Thread(target=pump, args=(far, near), daemon=True)
            back.start()
            pump(near, far)
            back.join()


def main():
    port, targets = int(sys.argv[1]), [int(target) for target in sys.argv[2:]]
    listener = socket.create_server(("127.0.0.1", port))
    turn = 0
    while True:
        near, _ = listener.accept()
        threading.Thread(target=serve, args=(near, targets, turn), daemon=True).start()
        turn += 1


main()
