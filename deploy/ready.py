"""The containers' health check: `ready.py PORT` succeeds if the process there answers /readyz with 200.

By socket alone, because it runs every few seconds in every container and importing urllib would take
longer than all the rest.
"""

import socket
import sys

TIMEOUT = 2.0
"""Seconds, for the connection and for each read."""


def main() -> int:
    """Return 0 if ready, 1 if not, with one line for the health log."""
    port = int(sys.argv[1])
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = connection.makefile("rb").readline().decode("latin-1").strip()
    except OSError as error:
        status = str(error)
    print(status or "no answer")  # noqa: T201 - the engine keeps it as the check's output
    return 0 if status.split(" ")[1:2] == ["200"] else 1


if __name__ == "__main__":
    sys.exit(main())
