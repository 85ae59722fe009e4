"""Each mutant still applies to the sources, and names a test that is there; and how a test's report is read."""

import ast

import pytest

from tests.mutants.mutant import HERE, ROOT, Mutant, mutants
from tests.mutants.report import Verdict, not_passed, verdict

FEWEST = 15
CASE = '<testsuites><testsuite><testcase name="t">{}</testcase></testsuite></testsuites>'


@pytest.mark.parametrize("path", sorted(HERE.glob("*.patch")), ids=lambda path: path.stem)
def test_a_mutant_applies_and_its_test_is_there(path):
    """One that does not: make its fault again in the sources as they are, and keep `git diff` (CONTRIBUTING.md)."""
    mutant = Mutant.read(path)
    assert not mutant.apply(ROOT, "--check")
    file, name = mutant.test.split("::")
    assert name.partition("[")[0] in named_in(ROOT / file)


def named_in(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "name")}


def test_there_are_many_each_with_a_fault_of_its_own():
    faults = [mutant.fault for mutant in mutants()]
    assert len(set(faults)) == len(faults) >= FEWEST


@pytest.mark.parametrize(
    "head", ["", "fault: x\n", "test: a::b\n", "fault: x\ntest: a\n", "fault: x\ntest: a::b\nwhy: y\n"]
)
def test_a_mutant_without_a_head_is_refused(tmp_path, head):
    path = tmp_path / "x.patch"
    path.write_text(f"{head}\ndiff --git a/x b/x\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.patch"):
        Mutant.read(path)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", Verdict.PASSED),
        ('<failure message="AssertionError: assert 1 == 2" />', Verdict.FAILED),
        ('<failure message="assert []" />', Verdict.FAILED),
        ('<failure message="Failed: DID NOT RAISE StorageError" />', Verdict.FAILED),
        ('<failure message="TimeoutError: not within 10 s" />', Verdict.FAILED),
        ("<failure message=\"NameError: name 'x' is not defined\" />", Verdict.BROKEN),
        ("<failure message=\"AttributeError: 'A' object has no attribute 'b'\" />", Verdict.BROKEN),
        ('<error message="collection failure" />', Verdict.BROKEN),
        ('<skipped message="no compiler" />', Verdict.BROKEN),
    ],
)
def test_a_test_fails_for_the_right_reason_where_what_it_promises_does_not_hold(said, found):
    assert verdict(CASE.format(said))[0] is found


def test_those_that_did_not_pass_are_told_by_name():
    cases = (
        '<testcase name="a[1]"><failure /></testcase><testcase name="b" /><testcase name="c"><error /></testcase>'
    )
    assert not_passed(f"<testsuite>{cases}</testsuite>") == {"a", "c"}
    assert not_passed("") == set()


@pytest.mark.parametrize("xml", ["", "<testsuites />", "<testsuite"])
def test_a_report_without_a_test_is_no_proof(xml):
    assert verdict(xml)[0] is Verdict.BROKEN
