"""Count logical statements: `python -m tests.house.statements [REVISION …]`, beside those of the working tree.

Python: every statement of the syntax tree but documentation (texts that stand alone); a definition, a branch and a
loop are one each, with their bodies' beside them. C: semicolons outside of parentheses, `if`, `for`, `while` and
`switch`, and a function's head; the preprocessor's lines do not count. So neither comments nor formatting change a
count. What is generated does not count, and links are not followed.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator

from tests.house.sources import GENERATED, PRODUCT, REST, ROOT, files, relative, without_comments

PARTS = ("services", "shared", "client", "C")
TESTS = "tests"
OTHERS = "bench, deploy"
CLIENT = ("client", "parley")
"""What is neither service nor shared: the library and the command line."""
HERE = "here"

_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", re.MULTILINE)
_TOKEN = re.compile(r"[A-Za-z_]\w*|[(){};]|[^\s\w(){};]+|\d+")
_BRANCHES = {"if", "for", "while", "switch"}


def python_statements(source: str) -> int:
    """How many logical statements a Python file has."""
    return sum(isinstance(node, ast.stmt) and not _is_text(node) for node in ast.walk(ast.parse(source)))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def c_statements(source: str) -> int:
    """How many logical statements a C file has."""
    count = depth = nested = 0
    before = ""
    for token in _TOKEN.findall(_PREPROCESSOR.sub("", without_comments(source))):
        if token in "()":
            depth += 1 if token == "(" else -1
        elif token == "{":
            count += nested == 0 and before == ")"
            nested += 1
        elif token == "}":
            nested -= 1
        else:
            count += token in _BRANCHES or (token == ";" and depth == 0)
        before = token
    return count


def part_of(name: str) -> str:
    """Which of the parts a file belongs to; none: empty."""
    top = name.split("/", maxsplit=1)[0]
    if name.endswith(GENERATED) or top not in {*PRODUCT, *REST}:
        return ""
    if name.endswith((".c", ".h")):
        return "C" if top in PRODUCT else ""
    if not name.endswith(".py"):
        return ""
    if top in CLIENT:
        return "client"
    return OTHERS if top in REST and top != TESTS else top


def count(sources: Iterable[tuple[str, str]]) -> Counter[str]:
    """The statements of each part, of files by name and content."""
    counts: Counter[str] = Counter()
    for name, source in sources:
        if part := part_of(name):
            counts[part] += c_statements(source) if part == "C" else python_statements(source)
    return counts


def here() -> Iterator[tuple[str, str]]:
    """The working tree's files."""
    for path in files((*PRODUCT, *REST), (".py", ".c", ".h")):
        yield relative(path), path.read_text(encoding="utf-8")


def at(revision: str) -> Iterator[tuple[str, str]]:
    """A revision's files."""
    done = subprocess.run(["git", "archive", "--format=tar", revision], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() and part_of(member.name) else None
            if content is not None:
                yield member.name, content.read().decode()


def table(columns: dict[str, Counter[str]]) -> str:
    """All counts side by side; where there are several, the last column is the change from first to last."""
    whole = {name: sum(counts[part] for part in PARTS) for name, counts in columns.items()}
    rows = [("statements", [*columns])]
    rows += [(part, [f"{counts[part]:,}" for counts in columns.values()]) for part in PARTS]
    rows += [("sum", [f"{each:,}" for each in whole.values()])]
    rows += [(part, [f"{counts[part]:,}" for counts in columns.values()]) for part in (TESTS, OTHERS)]
    if len(columns) > 1:
        first, *_, last = columns
        changes = [f"{columns[last][part] - columns[first][part]:+,}" for part in PARTS]
        changes += [f"{whole[last] - whole[first]:+,}"]
        changes += [f"{columns[last][part] - columns[first][part]:+,}" for part in (TESTS, OTHERS)]
        rows = [(head, [*cells, change]) for (head, cells), change in zip(rows, ["change", *changes], strict=True)]
    return "\n".join(f"{head:<14}" + "".join(f"{cell:>12}" for cell in cells) for head, cells in rows)


def main() -> int:
    """Print the counts of the revisions that are named, and of the working tree."""
    parser = argparse.ArgumentParser(prog="python -m tests.house.statements", description="Logical statements")
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="counted, too")
    revisions = parser.parse_args().revisions
    columns = {revision[:10]: count(at(revision)) for revision in revisions}
    print(table(columns | {HERE: count(here())}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
