"""Cells: pairs that are what they are said to be, and counts that add up."""

import dataclasses
from argparse import Namespace

import numpy as np
import pytest

from benchmarks.verdict.__main__ import measure_cells, pooled
from benchmarks.verdict.cells import (
    CELLS,
    Cell,
    _source,
    measure_cell,
    scattered,
    some,
    times,
)
from isotau.sim.states import Outcome


def test_changes_are_those_that_are_named():
    tau, rng = np.geomspace(0.04, 0.2, 100), np.random.default_rng(0)
    np.testing.assert_allclose(times(1.1)(tau, rng), 1.1 * tau)
    ratio = some(0.06, 1.2)(tau, rng) / tau
    assert (ratio == 1).sum() == 94 and ratio.max() == pytest.approx(1.2)
    logs = np.log(scattered(0.25)(tau, rng) / tau)
    assert logs.std() == pytest.approx(0.25, abs=0.01)
    assert logs.mean() == pytest.approx(0, abs=1e-12) and np.diff(logs).min() < 0


@pytest.mark.parametrize(
    ("memory", "shared"), [(False, 0.0), (False, 0.5), (True, 0.0)]
)
def test_units_are_such_processes(memory, shared):
    tau = np.array([0.05, 0.2])
    cell = dataclasses.replace(CELLS[0], memory=memory, shared=shared)
    x = _source("a", tau, cell).draw(400, 0, 4.0, 3).x
    assert x.shape == (200, 400, 2)
    if memory:
        assert (x.std(axis=(0, 1)) > 1.5).any()
        return
    # Of two τ that share their noise: 2 √(τ₁ τ₂) / (τ₁ + τ₂) of it.
    correlation = np.corrcoef(x[50:].reshape(-1, 2).T)[0, 1]
    assert correlation == pytest.approx(0.8 * shared, abs=0.06)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1, atol=0.02)
    products = (x[1:] * x[:-1]).mean(axis=(0, 1))
    np.testing.assert_allclose(products, np.exp(-0.02 / tau), atol=0.03)


def test_outcomes_are_counted():
    found = measure_cell(dataclasses.replace(CELLS[0], units=12), 3, 1)
    assert sum(found["outcomes"].values()) == 3
    assert found["outcomes"]["preserved"] >= 2
    assert found["wrong"] == (
        found["outcomes"]["shifted"] + found["outcomes"]["not preserved"]
    )
    assert 0 <= found["covered"] <= 1 and 0.8 < found["units_covered"] <= 1
    far = Cell(
        name="x", change=times(1.4), wrong=(Outcome.PRESERVED,), ratio=None, units=12
    )
    found = measure_cell(far, 2, 1)
    assert found["outcomes"]["not preserved"] == 2 and found["covered"] is None


def test_parts_are_pooled():
    row = measure_cell(dataclasses.replace(CELLS[0], units=6), 1, 1)
    both = pooled([row, row | {"wrong": 1, "covered": 0.0}])
    assert both["pairs"] == 2 and both["wrong"] == row["wrong"] + 1
    assert both["covered"] == row["covered"] / 2
    assert sum(both["outcomes"].values()) == 2


@pytest.mark.slow
def test_every_cell_is_measured(monkeypatch):
    few = [dataclasses.replace(cell, units=6) for cell in CELLS[:2]]
    monkeypatch.setattr("benchmarks.verdict.cells.CELLS", few)
    rows = measure_cells(Namespace(pairs=4, jobs=1))
    assert [row["name"] for row in rows] == [cell.name for cell in few]
    assert all(row["pairs"] == 4 for row in rows)
