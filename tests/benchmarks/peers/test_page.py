"""The page of peers, from figures made up here."""

import pytest

from benchmarks.page import render
from benchmarks.peers.page import nearest, peers_page, says


def score(rmse: float | None, bias: float | None = 0.0) -> dict:
    return {
        "bias": bias,
        "rmse": rmse,
        "typical": rmse,
        "bounded": 100,
        "covered": 95,
    }


def row(cell: str, method: str, rmse: float, *, has: int = 100, units: int = 100):
    truths = ("1/e", "slow part") if "through" in cell else ("τ",)
    return {
        "cell": cell,
        "peer": "isotau",
        "method": method,
        "seconds": 0.0123,
        "units": units,
        "with_tau": has,
        "median_s": 0.05 if has else None,
        "by": {
            name: score((k + 1) * rmse if has else None, -0.1 if has else None)
            for k, name in enumerate(truths)
        },
    }


def beside(cell: str, ours: str, theirs: str, ratio: float, **more) -> dict:
    return {
        "cell": cell,
        "ours": ours,
        "theirs": theirs,
        "units": 100,
        "ours_rmse": 0.1,
        "theirs_rmse": 0.1 / ratio,
        "ratio": ratio,
        "low": 0.9 * ratio,
        "high": 1.1 * ratio,
    } | more


LONG, SHORT = "OU 20 ms, 40 × 4 s", "OU 20 ms, 40 × 1 s"
SHAPE, SPIKES = "OU 100 ms through 30 ms, 40 × 4 s", "linear rate 50 ms, 200 × 2 s"
GROUPS = {LONG: "states", SHORT: "short", SHAPE: "shapes", SPIKES: "spikes"}


def cell(name: str) -> dict:
    label, size = name.split(", ")
    return {
        "name": name,
        "process": "OU" if "OU" in name else "linear rate",
        "label": label.removeprefix("OU ").removeprefix("linear rate "),
        "group": GROUPS[name],
        "size": size,
        "truths": {"1/e": 0.134, "slow part": 0.1}
        if GROUPS[name] == "shapes"
        else {"τ": 0.02},
    }


FIGURES = {
    "provenance": {
        "command": "python -m benchmarks.peers",
        "in_parts": False,
        "commit": "abc",
        "uncommitted": False,
        "machine": "a machine",
        "versions": {"python": "3.11", "torch": "2", "numpy": "2"},
        "seed": 2026,
    },
    "units": 100,
    "cells": [cell(name) for name in GROUPS],
    "packages": [
        {
            "peer": "mrestimator",
            "reason": None,
            "commit": None,
            "version": "1.2",
            "missing": {"a part": "why not"},
        },
        {
            "peer": "IntrinsicTimescales.jl",
            "reason": "it needs Julia",
            "commit": None,
            "version": None,
            "missing": {},
        },
    ],
    "rows": [
        row(LONG, "state τ", 0.025),
        row(LONG, "direct fit", 0.01, has=80),
        row(LONG, "mrestimator", 0.05, has=0, units=50),
        row(LONG, "abcTau", 0.001, has=4, units=4),
        row(SHORT, "state τ", 0.5),
        row(SHAPE, "state τ", 0.03),
        *(row(name, "ml", 0.3, has=100) for name in (LONG, SHORT)),
        row(SHAPE, "ml", 0.3, has=0),
        row(SPIKES, "ml", 0.3, has=60),
        row(SPIKES, "ml, every value", 0.4),
    ],
    "comparisons": [
        beside(LONG, "state τ", "mrestimator", 0.5),
        beside(LONG, "state τ", "abcTau", 3.0, units=4),
        beside(SHORT, "state τ", "mrestimator", 0.5),
        beside(SHORT, "state τ", "voytek, ACF", 1.5),
        beside(SHAPE, "state τ", "voytek, ACF", 1.05),
        beside(SPIKES, "ml", "mrestimator", 0.6),
        beside(SPIKES, "ml, every value", "mrestimator", 2.0, units=19),
    ],
}
TEXT = render(peers_page(FIGURES))
WORDS = " ".join(TEXT.split())


def test_claims_are_counted_and_what_is_worse_is_named():
    assert (
        "`state τ` at states of one timescale: better than all, **not met**. Of 2 "
        "cells, better than all in 1, neither shown in 0, worse in 1: OU 20 ms, 40 × "
        "1 s (voytek, ACF)."
    ) in WORDS
    assert (
        "`state τ` at states of other shapes: better than all, **not met**. Of 1 "
        "cells, better than all in 0, neither shown in 1, worse in 0."
    ) in WORDS
    assert "`ml` at spikes: not worse, **met**. Of 1 cells, better than all in" in WORDS
    assert "worse in 0. It has a τ of 60 % of the units or more." in WORDS


def test_a_method_of_ours_that_says_nothing_is_not_better():
    assert (
        "`ml` at states of other shapes: better than all, **not met**. Of 1 cells, "
        "better than all in 0, neither shown in 0, worse in 0, without a τ of ours in "
        "1. It has a τ of 0 % of the units or more."
    ) in WORDS
    assert f"| {SHAPE} | **1.05" not in TEXT and "| without a τ of ours | – |" in TEXT
    assert "| ml | 0 of 100 | – | – |" in TEXT


def test_what_was_not_compared_is_not_met():
    assert (
        "`ml, every value` at spikes: not worse, **not met**. Of 1 cells, better than "
        "all in 0, neither shown in 0, worse in 0, not compared in 1."
    ) in WORDS


def test_the_worst_comparison_stands_in_the_table():
    # Few units decide nothing, however bad.
    assert f"| {LONG} | 0.50 (0.45–0.55), 100 | mrestimator | – | – |" in TEXT
    assert f"| {SHORT} | **1.50 (1.35–1.65)**, 100 | voytek, ACF | – | – |" in TEXT


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ([], "not compared"),
        ([(0.5, 0.9), (0.2, 0.99)], "better than all"),
        ([(0.5, 0.9), (0.8, 1.01)], "neither shown"),
        ([(0.5, 0.9), (1.01, 1.2)], "worse"),
    ],
)
def test_what_comparisons_say(ends, verdict):
    assert says([{"low": low, "high": high} for low, high in ends]) == verdict


def test_the_best_is_bold_and_has_a_timescale_for_most_units():
    assert "| state τ | **0.025**, -10 % |" in TEXT
    assert "| direct fit | 0.010, -10 %, 80 of 100 |" in TEXT
    assert "| mrestimator | 0 of 50 |" in TEXT
    assert "| abcTau | 0.001, -10 %, 4 of 4 |" in TEXT
    # The believed ones alone are not most of them.
    assert "| ml | 0.300, -10 %, 60 of 100 |" in TEXT
    assert "| ml, every value | **0.400**, -10 % |" in TEXT


def test_other_shapes_are_told_by_every_meaning():
    assert "### 100 ms seen through a low-pass filter of 30 ms" in TEXT
    assert "| 40 × 4 s: median | 1/e, 134 ms | slow part, 100 ms |" in TEXT
    assert "| state τ | 50.0 | 0.030 | 0.060 |" in TEXT
    assert nearest(row(SHAPE, "ml", 0.03))["rmse"] == 0.03


def test_packages_coverage_and_cost():
    assert "- mrestimator, 1.2: had; a part not had: why not." in TEXT
    assert "- IntrinsicTimescales.jl: not had: it needs Julia." in TEXT
    assert "| state τ | 95.0 (88.7–98.4) | 95.0 (88.7–98.4) | – | 95.0" in TEXT
    assert "| ml, every value | – | – | – | 12.3 |" in TEXT


def test_abctau_stands_apart():
    table = TEXT.partition("## Beside abcTau")[2].partition("\n## ")[0]
    assert f"| {LONG} | `state τ` | 4 | 0.033 | 0.100 | 3.00 (2.70–3.30) |" in table
    assert SHORT not in table
