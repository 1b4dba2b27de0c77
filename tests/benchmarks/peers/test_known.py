"""Data of known timescales are what they are said to be."""

import numpy as np
import pytest

from benchmarks.peers.known import CELLS, INTERVAL, cell_named, drawn, fall


def correlation(series, lags) -> np.ndarray:
    """The autocorrelation of all units together, about a mean of 0."""
    x = series.values - series.values.mean()
    return np.array([(x[k:] * x[: len(x) - k]).mean() / (x * x).mean() for k in lags])


def test_no_two_cells_have_a_name_and_each_is_found_by_it():
    names = [cell.name for cell in CELLS]
    assert len(set(names)) == len(names)
    assert all(cell_named(cell.name) is cell for cell in CELLS)
    assert {cell.group for cell in CELLS} == {"states", "short", "shapes", "spikes"}


def test_data_follow_from_name_and_seed():
    cell, other = cell_named("OU 50 ms, 40 × 1 s"), cell_named("OU 20 ms, 40 × 1 s")
    first, again = drawn(cell, 3, 1), drawn(cell, 3, 1)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.values.shape == (200, 40, 3)
    assert not np.array_equal(first.values, drawn(cell, 3, 2).values)
    assert not np.array_equal(first.values, drawn(other, 3, 1).values)


def test_the_fall_to_1_over_e_is_found():
    assert fall(lambda u: np.exp(-u / 0.07), 1.0) == pytest.approx(0.07, rel=1e-6)
    # The first time, not where it comes back.
    wave = fall(lambda u: np.cos(2 * np.pi * u), 1.0)
    assert wave == pytest.approx(np.arccos(np.exp(-1)) / (2 * np.pi), rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "OU 5 ms, 40 × 4 s",
        "OU 100 ms, 40 × 4 s",
        "OU 20 ms + 200 ms, 40 × 4 s",
        "OU 100 ms through 30 ms, 40 × 4 s",
        "OU 60 ms + 2 Hz, 40 × 4 s",
    ],
)
def test_states_fall_to_1_over_e_where_it_is_said(name):
    cell = cell_named(name)
    series = drawn(cell, 60, 0)
    assert series.kind == "signal" and series.bin_width == INTERVAL
    (truth, *_) = cell.truths.values()
    below, above = int(truth / INTERVAL), int(truth / INTERVAL) + 1
    low, high = correlation(series, (below, above))
    along = truth / INTERVAL - below
    assert (1 - along) * low + along * high == pytest.approx(np.exp(-1), abs=0.02)


def test_a_filtered_state_is_smooth():
    # A process of the second order starts level: 1 − u²/2ab of time constants a, b.
    series = drawn(cell_named("OU 100 ms through 30 ms, 40 × 4 s"), 60, 0)
    (first,) = correlation(series, (1,))
    assert 1 - first == pytest.approx(INTERVAL**2 / (2 * 0.1 * 0.03), rel=0.1)


@pytest.mark.parametrize(("kind", "sd"), [("linear", 5.0), ("log", 10.0)])
def test_spikes_have_the_rate_and_its_spread(kind, sd):
    cell = cell_named(f"{kind} rate 200 ms, 40 × 1 s")
    series = drawn(cell, 200, 0)
    assert series.kind == "counts" and series.values.shape == (40, 40, 200)
    width = series.bin_width
    assert series.values.mean() / width == pytest.approx(10, rel=0.03)
    # The counts' own noise, and what the rate adds within a bin.
    shared = series.values.var() - series.values.mean()
    assert np.sqrt(shared) / width == pytest.approx(sd, rel=0.1)


def test_the_truths_of_a_log_rate_are_two():
    truths = cell_named("log rate 100 ms, 40 × 1 s").truths
    assert truths["log rate's τ"] == 0.1
    # exp(s² ρ) − 1 falls to 1/e of itself at s² = ln 2.
    rho = np.log1p(np.exp(-1)) / np.log(2)
    assert truths["rate's 1/e"] == pytest.approx(-0.1 * np.log(rho), rel=1e-4)
