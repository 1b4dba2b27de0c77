import pytest

from benchmarks.house.lines import (
    count_lines,
    explains,
    measure_comments,
    measure_lines,
)

EXAMPLE = '''
"""Docstring.

Its third line.
"""

import os  # noqa: F401

# ---------------- a banner
# Why it is so:
# because of that.
x = 1  # for a reason
#
'''


def test_every_line_is_of_one_kind(module):
    lines = count_lines(module(EXAMPLE))
    assert lines.total == 12
    assert (lines.docstring, lines.code, lines.comment, lines.blank) == (4, 2, 4, 2)


def test_comments_are_counted_where_they_explain(module):
    lines = count_lines(module(EXAMPLE))
    assert lines.explanations == 3
    assert lines.density == 150


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "#noqa: E501",
        "# type: ignore[misc]",
        "# fmt: off",
        "#!/usr/bin/env python",
        "# =====",
        "# --- Section ---",
        "#----------",
        "#",
    ],
)
def test_words_for_tools_and_banners_explain_nothing(comment):
    assert not explains(comment)


@pytest.mark.parametrize("comment", ["# (12)", "# eq. 3: u decays", "# a - b - c"])
def test_words_and_numbers_of_equations_explain(comment):
    assert explains(comment)


def test_a_module_without_code_has_no_density(module):
    assert count_lines(module("# Only this.\n")).density == 0


def test_lines_of_all_modules_are_added(module):
    modules = [module("x = 1\n"), module("# why\n\ny = 1\n")]
    assert measure_lines(modules) == {
        "total": 4,
        "code": 2,
        "docstring": 0,
        "comment": 1,
        "blank": 1,
    }


def test_comments_by_folder_and_in_kernels(module):
    modules = [
        module("x = 1  # why\ny = 2\n", "convert/a.py"),
        module("from numba import njit\n# (1)\n# (2)\n", "sim/kernel.py"),
        module("z = 1\n" * 50, "sim/long.py"),
        module("z = 1  # why\n" * 40, "sim/rich.py"),
        module("z = 1\n" * 40, "sim/short.py"),
        module("z = 1\n" * 39, "sim/too_short.py"),
    ]
    measures = measure_comments(modules)
    assert measures["comments"] == 43
    assert measures["overall"] == pytest.approx(100 * 43 / 172, abs=0.005)
    assert measures["kernels"] == 200
    assert measures["folders"]["convert"] == 50
    assert list(measures["poorest"]) == ["sim/long.py", "sim/short.py", "sim/rich.py"]
    assert measures["poorest"]["sim/long.py"] == {"density": 0, "code": 50}
