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


FIGURES = {
    "provenance": {
        "command": "python -m benchmarks.verdict",
        "in_parts": False,
        "commit": "abc",
        "uncommitted": False,
        "machine": "a machine",
        "versions": {"python": "3.11", "torch": "2", "numpy": "2"},
    },
    "cells": [cell("the same", 3), cell("slower", 20)],
    "faults": [
        {
            "network": name,
            "fault": "noise off",
            "outcomes": ["not preserved", "not preserved", "preserved"],
            "ratio": None,
            "within": 0.5,
            "seconds": 12.3,
        }
        for name in ("a.mat", "b.npz")
    ],
    "budget_s": 30.0,
}


def test_shares_stand_with_their_intervals_and_too_many_errors_are_said():
    text = render(verdict_page(FIGURES))
    assert (
        "| the same | 50 | 90.0 | 2.0 | 1.0 | 7.0 | 3.0 (0.6–8.5) | – | 95.1 |" in text
    )
    assert "20.0 (12.7–29.2) **too many**" in text and text.count("too many") == 1
    assert "not preserved 2, preserved 1; –, 50 % within, 12 s" in text
