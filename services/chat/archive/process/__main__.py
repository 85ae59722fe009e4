"""`python -m parley.services.chat.archive.process DESCRIPTOR`: forks the archive's process for chat."""

import socket
import sys

from parley.services.chat.archive.process.forker import keep_forking

if __name__ == "__main__":
    keep_forking(socket.socket(fileno=int(sys.argv[1])))
