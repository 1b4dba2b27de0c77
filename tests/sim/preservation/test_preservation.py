"""`Preservation`: the record, its summary and its lines."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

from isotau.sim.preservation import (
    Estimate,
    NetworkResult,
    PreservationConfig,
    compare_spikes,
    lines,
    summary,
)

CONFIG = PreservationConfig(draws=200)


@pytest.fixture
def found(make_pairs):
    pairs = make_pairs(0, 3, 60, tau_syn=np.linspace(0.02, 0.1, 60))
    return compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))


def test_scope(found, make_pairs):
    assert found.scope == "networks like these 3"
    one = compare_spikes(make_pairs(0, 1, 60), CONFIG, rng=np.random.default_rng(0))
    assert one.scope == "this network alone"
    two = compare_spikes(make_pairs(0, 2, 60), CONFIG, rng=np.random.default_rng(0))
    assert two.scope == "these 2 networks alone"


def test_strict_margin(found):
    shift, *others = found.endpoints
    for low, high, strict in ((-0.09, 0.09, True), (-0.09, 0.1, False)):
        narrow = replace(shift, estimate=Estimate(value=0.0, low=low, high=high))
        assert replace(found, endpoints=(narrow, *others)).strict is strict


def test_summary_is_json(found, make_pairs):
    said = summary(found)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["verdict"] == found.verdict.value
    assert said["n_networks"] == 3
    assert said["kept"] + said["lost"] + said["gained"] + said["neither"] == 180
    silent = compare_spikes(
        make_pairs(0, 1, 40, lost=1.1), CONFIG, rng=np.random.default_rng(0)
    )
    assert summary(silent)["shift"] == [None, None, None]


def test_lines_say_it_all(found, make_pairs):
    text = "\n".join(lines(found))
    for word in (
        f"ml: {found.verdict.value} (networks like these 3)",
        "shift: τ_b/τ_a is",
        "scatter: beyond",
        "loss: beyond",
        "strict margin",
        "concordance",
        "Wasserstein-1",
        "slope on log_tau_syn",
        "timescales in a and its repeat",
        "0 censored",
    ):
        assert word in text
    assert max(map(len, lines(found))) < 200
    pairs = make_pairs(0, 1, 40, lost=1.1) + make_pairs(1, 1, 5)
    pairs[1] = replace(pairs[1], name="small")
    text = "\n".join(lines(compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))))
    assert "left out: small: got" in text
    assert "not identifiable)" in text
    assert "none" in text


def test_it_survives_pickling(found):
    assert lines(pickle.loads(pickle.dumps(found))) == lines(found)


def test_refusals(found):
    with pytest.raises(
        ValueError, match=r"endpoints: got \('scatter', .*, need \('shi"
    ):
        replace(found, endpoints=found.endpoints[::-1][1:])
    with pytest.raises(ValueError, match="by_network: got no network, need at least"):
        replace(found, by_network=(), left_out=())
    with pytest.raises(TypeError, match="value: got '1', need a number"):
        NetworkResult(name="x", shift=Estimate(value=0), scatter="1", loss=0, neurons=1)
