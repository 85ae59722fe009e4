"""What counts as a statement."""

import pytest

from tests.house.statements import c_statements, count, part_of, python_statements, table


def test_documentation_is_no_statement():
    assert python_statements('"""Why."""\nMOST = 1\n"""How many."""\n') == 1


def test_each_branch_definition_and_line_of_python_counts():
    source = (
        "def f(a):\n    if a:\n        return 1\n    elif a is None:\n        pass\n    return [b for b in a]\n"
    )
    assert python_statements(source) == 6


def test_several_statements_on_a_line_count_as_on_lines_of_their_own():
    assert python_statements("a = 1; b = 2") == python_statements("a = 1\nb = 2\n") == 2


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("static int f(int a)\n{\n    return a; /* a; b; */\n}\n", 2),
        ("int f(void)\n{\n    for (int i = 0; i < 3; i++)\n        g(i);\n}\n", 3),
        ('int f(void)\n{\n    if (a == ";") {\n        b(); // c;\n    }\n    else\n        d();\n}\n', 4),
        ("typedef struct {\n    int a, b;\n    char c;\n} Thing;\nstatic int row[] = {1, 2};\n", 4),
        ("#define MOST 3\n#define f(a) \\\n    g(a); h(a)\nint a;\n", 1),
    ],
)
def test_statements_of_c_are_counted_whatever_their_layout(source, number):
    assert c_statements(source) == number
    assert c_statements(source.replace("{", "\n{ ").replace("    ", "  ")) == number


def test_generated_modules_and_stubs_do_not_count():
    names = [
        "proto/messenger_pb2.py",
        "shared/wire/messenger_pb2.py",
        "shared/_core.pyi",
        "docs/examples/client.py",
    ]
    assert [part_of(name) for name in names] == [""] * 4


def test_the_command_line_and_the_library_are_one_part_before_and_after_they_are_moved():
    names = ["client/chat.py", "client/cli/main.py", "parley/client/chat.py", "parley/cli/operator/main.py"]
    assert {part_of(name) for name in names} == {"client"}


def test_the_table_has_the_sum_without_tests_and_the_change():
    before = count([("services/a.py", "a = 1\nb = 2\n"), ("shared/core/b.c", "int a;"), ("tests/c.py", "c = 3\n")])
    after = count([("services/a.py", "a = 1\n"), ("parley/client/d.py", "d = 4\n")])
    lines = [line.split() for line in table({"old": before, "new": after}).splitlines()]
    assert lines[0] == ["statements", "old", "new", "change"]
    assert ["sum", "3", "2", "-1"] in lines
    assert ["tests", "1", "0", "-1"] in lines
