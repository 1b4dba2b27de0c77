"""Medians, goals and floors of networks whose figures are known; the page of them."""

import copy

import pytest

from benchmarks.equal_tau.page import equal_tau_page
from benchmarks.equal_tau.summary import Goal, missed, state_goals, summarize
from benchmarks.page import render

MOMENTS = {
    "units": 10,
    "with_tau": [10, 10, 10],
    "beyond_in_both": 0,
    "tau_s": [0.04, 0.04],
    "ratio": 1.0,
    "sd_log": 0.1,
    "correlation": 0.97,
    "acf_rms": 0.03,
    "sd_ratio": 1.0,
    "covariance_error": 0.1,
}
FLOOR = MOMENTS | {"sd_log": 0.05, "acf_rms": 0.02}


def network(family, name, *, copies=1, fixed=1.0, **changes):
    """Figures of one network; changes are of its LIF state at rest."""
    stages = MOMENTS | {"mean_off": 0.1, "within": MOMENTS, "between_sd_ratio": 1.0}
    stages |= {"between_share": [0.1, 0.1]}
    floor = {name: FLOOR | {"within": FLOOR} for name in ("rate", "lif", "fixed")}
    pairs = ("rate to lif", "lif to fixed", "rate to fixed")
    compared = {pair: copy.deepcopy(stages) for pair in pairs} | {"floor": floor}
    rest = copy.deepcopy(compared)
    rest["rate to lif"] |= changes
    answers = {
        stage: {"accuracy": accuracy, "rate_hz": 20.0}
        for stage, accuracy in (("rate", 1.0), ("lif", 1.0), ("fixed", fixed))
    }
    taus = {"with_tau": 20, "median_s": 0.06, "both": 10, "ratio": 1.1}
    return {
        "family": family,
        "name": name,
        "n": 10,
        "copies": copies,
        "seconds": 30.0,
        "cpu_seconds": 40.0,
        "chosen": {"swing": 0.04, "rounds": 1},
        "candidates": [{}, {}],
        "why_chosen": "Two networks were tried.",
        "states": {"rest": rest, "epoch": compared},
        "why": {
            "far": 2,
            "too_fast": 1,
            "tau_ms": [20.0, 40.0],
            "weights": [3.0, 1.0],
            "rate_hz": [20.0, 20.0],
            "sd_tau_correlation": -0.8,
            "error_tau_correlation": -0.1,
            "error_weights_correlation": 0.6,
            "saturated": 0.0,
            "beyond": 0.0,
            "causes": ["shot noise"],
        },
        "answers": answers,
        "spikes": {stage: dict(taus) for stage in ("rate", "lif", "fixed")},
    }


def cells(rows, figure, pair="rate to lif", situation="rest"):
    (row,) = (
        row
        for row in rows
        if (row["figure"], row["pair"], row["situation"]) == (figure, pair, situation)
    )
    return row["cells"]


@pytest.mark.parametrize(
    ("goal", "value", "floor", "met", "text"),
    [
        (Goal(0.93, 1.07), 0.93, None, True, "0.93–1.07"),
        (Goal(0.93, 1.07), 1.08, None, False, "0.93–1.07"),
        (Goal(0.95), 0.94, 0.99, False, "≥ 0.95"),
        (Goal(None, 2.0, of_floor=True), 0.039, 0.02, True, "≤ 2 × floor"),
        (Goal(None, 2.0, of_floor=True), 0.041, 0.02, False, "≤ 2 × floor"),
        (Goal(None, 2.0, of_floor=True), 0.041, None, None, "≤ 2 × floor"),
        (Goal(None, 0.15), None, None, None, "≤ 0.15"),
    ],
)
def test_a_goal_is_met_or_missed(goal, value, floor, met, text):
    assert goal.met(value, floor) is met
    assert goal.text() == text


def test_four_copies_have_goals_of_their_own():
    assert state_goals("rate to lif", 1)["sd_log"].high == 0.15
    assert state_goals("rate to lif", 4)["sd_log"].high == 0.07
    assert set(state_goals("lif to fixed", 4)) == {"ratio", "sd_log"}


def test_medians_are_of_a_family_and_of_all_but_the_shipped():
    networks = [
        network("go-nogo", "net_000", ratio=0.9),
        network("go-nogo", "net_001", ratio=1.0),
        network("mante", "net_000", ratio=1.3),
        network("shipped", "go_nogo", ratio=5.0),
    ]
    ratio = cells(summarize(networks), "ratio")
    assert ratio["go-nogo"] | {"value": pytest.approx(0.95)} == {
        **{"networks": 2, "value": pytest.approx(0.95), "floor": 1.0, "met": True}
    }
    assert ratio["mante"]["met"] is False
    assert ratio["all"]["value"] == 1.0 and ratio["all"]["networks"] == 3
    assert ratio["dms-750"] == {
        **{"networks": 0, "value": None, "floor": None, "met": None}
    }


def test_one_network_that_falls_is_one_too_many():
    networks = [network("mante", str(k), fixed=f) for k, f in enumerate((1.0, 0.94))]
    rows = summarize(networks)
    assert cells(rows, "fallen", "", "")["mante"]["value"] == 1
    assert cells(rows, "fallen", "", "")["mante"]["met"] is False
    lost = cells(rows, "accuracy lost", "", "")["mante"]
    assert lost["value"] == pytest.approx(0.03) and lost["met"] is False


def test_what_a_network_misses_is_named():
    assert missed(network("mante", "a")) == []
    failing = network("mante", "b", sd_log=0.2, acf_rms=0.05, correlation=None)
    assert missed(failing) == ["sd_log", "acf_rms"]


def test_the_page_says_who_misses_and_why():
    networks = [
        network("go-nogo", "net_000"),
        network("dms-750", "net_007", sd_log=0.2),
        network("dms-750", "net_007", copies=4, sd_log=0.06, correlation=0.99),
    ]
    origin = {
        **{"command": "python -m benchmarks.equal_tau", "in_parts": False},
        **{"commit": "abc", "uncommitted": False, "machine": "a machine"},
        "versions": {"python": "3", "torch": "2", "numpy": "2"},
    }
    sizes = {"trials": 60, "settle": 1.0, "rest": 4.0, "epoch": 2.0, "scored": 200}
    text = render(
        equal_tau_page(
            {
                "provenance": origin,
                "sizes": sizes,
                "quick": False,
                "summary": summarize(networks),
                "networks": networks,
            }
        )
    )
    assert "Goals, one neuron per unit" in text
    assert "Goals, 4 neurons per unit" in text
    assert "DMS, one neuron per unit: 1 of 1 miss some goal; shot noise 1." in text
    assert "| DMS 007 | 1 | SD of log ratio | 2 of 10 (1) | 20, 40 |" in text
    assert "0.200 (0.050) **missed**" in text
    assert "| 1.000/1.000/1.000 | 20.0 | 30 (40) |" in text
    assert (
        "| DMS 007 | 1 | 2 | swing 0.04, rounds 1 | Two networks were tried. |" in text
    )
