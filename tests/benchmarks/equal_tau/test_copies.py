"""Copies that nothing keeps apart fire as one; spread drives keep them apart."""

import numpy as np
import pytest

from benchmarks.equal_tau.copies import Condition, copies_page, measure_copies
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.trials import Trials

N, STEPS = 12, 160


@pytest.fixture(scope="module")
def net():
    rng = np.random.default_rng(3)
    return RateRNN(
        w_rec=0.9 * rng.standard_normal((N, N)) / np.sqrt(N),
        w_in=rng.standard_normal((N, 1)),
        w_out=rng.standard_normal((1, N)) / N,
        bias=0.2 * rng.standard_normal(N),
        b_out=np.zeros(1),
        tau=rng.uniform(0.02, 0.06, N),
        dale=np.zeros(N, np.int8),
        activation="tanh",
        noise_std=0.1,
        dt=0.005,
    )


def driven(seed):
    """Slow noise as input, other in every trial."""
    rng = np.random.default_rng(seed)
    inputs = np.zeros((STEPS, 8, 1))
    for t in range(1, STEPS):
        inputs[t] = 0.95 * inputs[t - 1] + 0.5 * rng.standard_normal((8, 1))
    return Trials(
        inputs=inputs,
        targets=np.zeros((STEPS, 8, 1)),
        mask=np.ones((STEPS, 8), bool),
        labels=np.zeros(8, int),
        task="none",
        dt=0.005,
    )


@pytest.fixture(scope="module")
def rows(net):
    conditions = (
        Condition("neither", False, 0.0),
        Condition("spread drives", False, None),
    )
    measured = measure_copies(
        net, driven(1), driven(2), copies=(1, 4), conditions=conditions
    )
    return {(row["condition"], row["copies"], row["stage"]): row for row in measured}


@pytest.mark.parametrize("stage", ["lif", "chip"])
def test_copies_fire_as_one_unless_their_drives_are_spread(rows, stage):
    alike, apart = (
        rows[name, 4, stage]["same_unit_correlation"]
        for name in ("neither", "spread drives")
    )
    assert apart < 0.7 * alike


@pytest.mark.parametrize("stage", ["lif", "chip"])
def test_the_error_falls_with_copies_that_are_apart(rows, stage):
    one, four = (rows["spread drives", k, stage]["state_error"] for k in (1, 4))
    # By √4 if they were independent; together they bring next to nothing.
    assert four < 0.8 * one
    assert four < rows["neither", 4, stage]["state_error"]


def test_the_rate_network_without_noise_has_no_error_but_its_start(rows):
    assert rows["neither", 1, "rate"]["state_error"] < 0.02
    assert rows["neither", 1, "lif"]["same_unit_correlation"] is None


def test_the_page_has_a_row_for_each(rows):
    figures = {
        "provenance": {
            "command": "python -m benchmarks.equal_tau.copies",
            "in_parts": False,
            "commit": "0",
            "uncommitted": False,
            "versions": {"torch": "1", "numpy": "2", "python": "3"},
            "machine": "a machine",
        },
        "figures": {
            "rows": [{"network": "small"} | row for row in rows.values()],
            "trials": {"fit": 8, "test": 8},
            "copies": [1, 4],
        },
    }
    page = copies_page(figures)
    assert len(page.blocks[-1].blocks[0].rows) == len(rows)
