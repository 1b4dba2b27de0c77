"""What is said of states, of few networks and of many."""

from types import SimpleNamespace

import numpy as np
import pytest

from isotau.jobs.timescales.lava_states import LavaAtRest
from isotau.jobs.timescales.preserve import NetworkTimescales, StageTimescales
from isotau.reports import state_report
from isotau.reports.state_report import HEADINGS, rows, sentences
from isotau.sim.states import Margins
from isotau.sim.states.paired import LogRatio
from isotau.sim.timescales import Status, Timescales


def said(a: str, b: str, verdict: str, **more) -> dict:
    return {
        "a": a,
        "b": b,
        "verdict": verdict,
        "median_tau_s": [0.0412, 0.0409],
        "ratio": [0.99, 0.98, 1.0],
        "within": 190,
        "units": 200,
        "scatter": 0.041,
        "order": 0.9,
        "floor": {"scatter": 0.035, "order": 0.95},
        "sentence": f"It is {verdict}.",
    } | more


LAVA = {"a": "fixed", "b": "lava", "verdict": "preserved", "sentence": "All bits."}


def spikes(tau: np.ndarray) -> StageTimescales:
    """What one estimator found."""
    status = [Status.OK if known else Status.NOT_IDENTIFIABLE for known in tau > 0]
    found = Timescales(
        tau=tau,
        status=status,
        amplitude=np.ones(tau.size),
        offset=np.zeros(tau.size),
        rate=np.ones(tau.size),
        method="ml",
        bin_width=0.05,
        lags=14,
    )
    return StageTimescales({"ml": (found, found)}, np.zeros((2, 1, 1)), 0.05, {})


def network(known: int, factor: float, *, state: float = 1.0) -> NetworkTimescales:
    """Twelve neurons, of which some have a τ in their spikes, off by a factor."""
    rng = np.random.default_rng(0)
    tau = np.where(np.arange(12) < known, 0.1, np.nan)
    other = factor * tau * np.exp(0.05 * rng.standard_normal(12))
    log = float(np.log(state))
    compared = SimpleNamespace(
        a="rate",
        b="lif",
        pair=SimpleNamespace(network=LogRatio(log, 0.01, 30.0)),
        margins=Margins(),
    )
    return NetworkTimescales(
        name="net",
        stages={"rate": spikes(tau), "lif": spikes(other)},
        accuracy={},
        tau_syn=np.ones(12),
        tau_syn_effective=np.ones(12),
        excitatory=np.ones(12, dtype=bool),
        states=[compared],
    )


@pytest.mark.parametrize(
    ("known", "factor", "state", "words"),
    [
        (0, 1.0, 1.0, "Spikes of no neuron could tell."),
        (1, 1.0, 1.0, "Spikes of 1 neuron could tell, too few to agree or not."),
        (2, 1.0, 1.0, "Spikes of 2 neurons could tell, too few to agree or not."),
        (9, 1.0, 1.0, "Spikes of 9 neurons could tell, and agree: "),
        (9, 1.08, 1.0, "Spikes of 9 neurons could tell, and agree: "),
        (9, 1.3, 1.0, "Spikes of 9 neurons could tell, and disagree: 1.3"),
        (9, 1.3, 1.3, "Spikes of 9 neurons could tell, and agree: 1.3"),
        (9, 1.0, np.nan, "Spikes of 9 neurons could tell, too few to agree or not."),
    ],
)
def test_spikes_are_asked_whether_they_agree(monkeypatch, known, factor, state, words):
    monkeypatch.setattr(state_report, "sentence", lambda each: "So it is.")
    monkeypatch.setattr(state_report, "summary", lambda each: {"a": each.a})
    net = network(known, factor, state=state)
    (found,) = state_report.numbers(net)
    assert found["sentence"].startswith(f"So it is. {words}")
    assert found["spikes"]["neurons"] == known
    # t of 8 degrees of freedom.
    if known == 9:
        logs = np.log(net.stages["lif"].timescales["ml"][0].tau[:9] / 0.1)
        reach = 2.306 * logs.std(ddof=1) / 3
        expected = np.exp([logs.mean(), logs.mean() - reach, logs.mean() + reach])
        assert found["spikes"]["ratio"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (0, "By the published rules no neuron has one at both."),
        (1, "By the published rules 1 has one at both: 1."),
        (9, "By the published rules 9 have one at both: 1."),
    ],
)
def test_the_published_rules_are_told_beside(monkeypatch, known, words):
    monkeypatch.setattr(state_report, "sentence", lambda each: "So it is.")
    monkeypatch.setattr(state_report, "summary", lambda each: {"a": each.a})
    net = network(known, 1.1)
    stages = {
        name: stage._replace(published=stage.timescales["ml"][0])
        for name, stage in net.stages.items()
    }
    (found,) = state_report.numbers(net._replace(stages=stages))
    assert words in found["sentence"]
    assert found["spikes_published"]["neurons"] == known
    # Of trials that are too short for the rules nothing is said.
    (none,) = state_report.numbers(net)
    assert none["spikes_published"] is None and "published" not in none["sentence"]


def test_lava_comes_last(monkeypatch):
    monkeypatch.setattr(state_report, "sentence", lambda each: "So it is.")
    monkeypatch.setattr(state_report, "summary", lambda each: {"a": each.a})
    net = network(3, 1.0)._replace(
        lava=LavaAtRest(
            neurons=12,
            trials=4,
            seconds=2.0,
            steps=2000,
            same=True,
            differing=0,
            first=None,
            most=0,
            moving=12,
            wall_s=1.0,
            lacking="",
        )
    )
    assert [each.get("b") for each in state_report.numbers(net)] == [None, "lava"]


def test_few_networks_have_a_sentence_for_each_comparison():
    both = [said("rate", "lif", "preserved"), said("lif", "fixed", "shifted")]
    assert sentences({"net": both}) == ["It is preserved.", "It is shifted."]
    assert sentences({"a": both[:1], "b": both[1:]}) == [
        "a: It is preserved.",
        "b: It is shifted.",
    ]


def test_many_are_counted():
    report = {f"net{k}": [said("lif", "fixed", "preserved")] for k in range(4)}
    report["odd"] = [said("lif", "fixed", "not preserved")]
    assert sentences(report) == [
        "lif → fixed: preserved in 4, not preserved in 1 of 5 networks."
    ]


def test_rows_have_what_there_is():
    none = said(
        "rate",
        "lif",
        "not identifiable",
        median_tau_s=[None, None],
        ratio=[None, None, None],
        scatter=None,
        order=None,
        floor={"scatter": None, "order": None},
    )
    open_end = said("lif", "fixed", "preserved", ratio=[0.99, None, None])
    table = rows({"net": [said("rate", "fixed", "shifted"), none, open_end, LAVA]})
    assert all(len(row) == len(HEADINGS) for row in table)
    assert table[0] == [
        "net", "rate → fixed", "shifted", "41.2 → 40.9", "0.990 (0.980 to 1.000)",
        "190 of 200", "0.041 (0.035)", "0.900 (0.950)", "It is shifted.",
    ]  # fmt: skip
    assert table[1][3:5] == ["none → none", "none"] and table[1][6] == "none (none)"
    assert table[2][4] == "0.990 (no interval)"
    assert table[3] == ["net", "fixed → lava", "preserved", *[""] * 5, "All bits."]
