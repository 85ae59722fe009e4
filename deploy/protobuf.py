"""Generates the protobuf module from proto/messenger.proto: `make proto`.

The schema is registered as `parley/wire/messenger.proto`, a name of our own, so that it stands beside other
programs' `messenger.proto` in one process. protoc maps that name to the file in proto/, which users look for there.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parents[1]
REGISTERED = "parley/wire/messenger.proto"
HOME = ROOT / "shared" / "wire"
FILES = ("messenger_pb2.py", "messenger_pb2.pyi")


def generate(into: Path) -> None:
    """Write FILES into a directory. SystemExit if the schema is not valid."""
    with tempfile.TemporaryDirectory() as made:
        arguments = [f"-Iparley/wire={ROOT / 'proto'}", f"--python_out={made}", f"--pyi_out={made}", REGISTERED]
        if protoc.main(["protoc", *arguments]) != 0:
            sys.exit("proto/messenger.proto cannot be compiled")
        for name in FILES:
            shutil.copyfile(Path(made, "parley", "wire", name), into / name)


if __name__ == "__main__":
    generate(HOME)
