"""The page of the verdict, from figures made up here."""

from benchmarks.page import render
from benchmarks.verdict.page import verdict_page

OUTCOMES = {"preserved": 90, "shifted": 2, "not preserved": 1, "not identifiable": 7}


def cell(name: str, wrong: int) -> dict:
    return {
        "name": name,
        "pairs": 100,
        "units": 50,
        "outcomes": OUTCOMES,
        "wrong": wrong,
        "errors": ["shifted"],
        "covered": None,
        "units_covered": 0.951,
        "seconds_simulated": 640.0,
    }


PROVENANCE = {
    "command": "python -m benchmarks.verdict",
    "in_parts": False,
    "commit": "abc",
    "uncommitted": False,
    "machine": "a machine",
    "versions": {"python": "3.11", "torch": "2", "numpy": "2"},
}


def network(task: str, verdict: str, **more) -> dict:
    about = {"network": "a", "task": task, "convert_s": 9.0, "compare_s": 21.0}
    return about | {"a": "lif", "b": "fixed", "verdict": verdict} | more


STATES = {
    "ratio": [1.012, 1.0, 1.02],
    "scatter": 0.04,
    "order": None,
    "with_tau": 198,
    "units": 200,
}
ROWS = {
    "cells": [cell("the same", 3), cell("slower", 20)],
    "coverage": [
        {
            "tau_s": 0.005,
            "units": 100,
            "known": 98,
            "covered": 93,
            "bias": 0.001,
            "rms": 0.02,
        }
    ],
    "memory": [{"trials": 80, "seconds_simulated": 320.0, "peak_mb": 31.2}],
    "networks": [
        network("dms", "preserved", **STATES),
        network("dms", "not identifiable", **STATES | {"ratio": [None, None, None]}),
        network("dms", "preserved", b="lava"),
    ],
    "faults": [
        {
            "network": name,
            "fault": "noise off",
            "outcomes": outcomes,
            "ratio": ratio,
            "within": 0.5,
            "beyond": 3.0,
            "seconds": 12.3,
        }
        for name, outcomes, ratio in (
            ("a.mat", ["not preserved", "shifted"], None),
            ("b.npz", ["not preserved", "preserved"], 0.5),
        )
    ],
}
FIGURES = {
    name: {"provenance": PROVENANCE, "rows": rows} for name, rows in ROWS.items()
}


def test_shares_stand_with_their_intervals_and_too_many_errors_are_said():
    text = render(verdict_page(FIGURES))
    assert (
        "| the same | 50 | 90.0 | 2.0 | 1.0 | 7.0 | 3.0 (0.6–8.5) | – | 95.1 |" in text
    )
    assert "20.0 (12.7–29.2) **too many**" in text and text.count("too many") == 1
    assert "| 5 | 98 of 100 | 94.9 (88.5–98.3) | +0.10 | 2.0 |" in text
    assert "| 320 | 31 |" in text


def test_networks_are_counted_by_task():
    text = render(verdict_page(FIGURES))
    row = "| lif → fixed | dms | 2 | 1 | 0 | 0 | 1 | 50 | 1.012 | 0.040 | – |"
    assert f"{row} 99 at least |" in text
    assert "| lif → lava | dms | 1 | 1 | 0 | 0 | 0 | 100 | – | – | – |" in text
    assert "| dms | 9 (at most 9) | 21 (at most 21) |" in text


def test_faults_are_found_or_it_is_said_where_not():
    text = render(verdict_page(FIGURES))
    assert "| noise off | 1 | 1 | 2 | 0 | 75.0 (19.4–99.4) |" in text
    assert "| 0.500 to 0.500 | 3 | 12 | b.npz |" in text


def test_only_what_was_measured_has_a_section():
    some = {name: FIGURES[name] for name in ("cells", "memory")}
    text = render(verdict_page(some))
    assert "Where the answer is known" in text and "planted" not in text
