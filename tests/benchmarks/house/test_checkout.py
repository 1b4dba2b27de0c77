import pytest

from benchmarks.house.checkout import Checkout
from benchmarks.repository import ROOT


def test_python_runs_with_the_isotau_of_the_checkout(tree):
    root = tree({"src/isotau/__init__.py": "WHERE = 'here'\n"})
    process = Checkout(root).run("-c", "import isotau; print(isotau.WHERE)")
    assert process.stdout == "here\n"


def test_an_error_is_passed_on(tree):
    with pytest.raises(RuntimeError, match=r"got exit status 1, need 0:\n.*no more"):
        Checkout(tree({})).run_checked("-c", "raise SystemExit('no more')")


def test_the_commit_is_that_of_the_checkout():
    assert len(Checkout(ROOT).commit().rstrip("+")) >= 7
