"""Pictures of a memory code: what they say and show, by the axes they drew on."""

import dataclasses

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from isotau.sim.coding.clusters import Clusters
from isotau.sim.coding.decoding import half_life
from isotau.sim.coding.discriminability import Discriminability, Interval
from isotau.sim.coding.memory_code import GROUPS, CodingConfig, GroupCode, MemoryCode
from isotau.sim.plot import plot_coding as draw

TIMES = np.array([0.1, 0.15, 0.2, 0.25])
LAGS = np.array([0, 0.1, 0.2])


def axes(rows=1, columns=1):
    grid = Figure().subplots(rows, columns, squeeze=False)
    return grid if rows * columns > 1 else grid[0, 0]


def life(curve):
    curves = np.array(curve) + 0.01 * np.arange(-2, 3)[:, None]
    return half_life(curves, LAGS, rng=np.random.default_rng(0), resamples=50)


def matrix(k=0.5, units=12):
    values = np.eye(4) + k * (1 - np.eye(4))
    return Discriminability(
        matrix=values, times=TIMES, units=units, networks=3, trials=8
    )


def code(long=0.5, short=-0.1):
    def group(value):
        return GroupCode(
            discriminability=matrix(value),
            stability=Interval(value, value - 0.1, value + 0.1),
            off=Interval(value, np.nan, np.nan),
            diagonal=Interval(1, np.nan, np.nan),
            half_life=life([0.9, 0.8, 0.6]),
            rate=10.0,
        )

    return MemoryCode(
        groups={name: group(long if "long" in name else short) for name in GROUPS},
        more_stable=Interval(long - short, 0, 1),
        clusters=None,
        shuffled="",
        edges=(0.05, 0.2),
        fano={},
        networks=3,
        config=CodingConfig(),
    )


def legend(one):
    return [text.get_text() for text in one.get_legend().get_texts()]


def test_cross_temporal_shows_the_matrix_in_milliseconds():
    one = axes()
    assert draw.cross_temporal(one, matrix(), epochs={"first": (0.12, 0.18)}) is one
    (image,) = one.get_images()
    np.testing.assert_array_equal(image.get_array(), matrix().matrix)
    # A cell of 50 ms around every sample.
    assert image.get_extent() == pytest.approx([75, 275, 75, 275])
    assert image.get_clim() == (0, 1) and image.origin == "lower"
    assert one.get_title() == "12 units, 3 networks"
    edges = [line.get_xdata()[0] for line in one.get_lines()[::2]]
    assert edges == pytest.approx([120, 180])
    assert (one.get_xlabel(), one.get_ylabel()) == ("time t₂ (ms)", "time t₁ (ms)")


def test_undefined_elements_are_left_grey():
    found = matrix().matrix.copy()
    found[0] = np.nan
    one = draw.cross_temporal(axes(), dataclasses.replace(matrix(), matrix=found))
    assert one.get_images()[0].get_array().mask[0].all()


def test_stages_are_rows_and_groups_columns():
    grid = axes(2, 2)
    codes = {"rate": code(), "fixed": code(0.7, np.nan)}
    assert draw.cross_temporal_stages(grid, codes) is grid
    titles = [[one.get_title() for one in row] for row in grid]
    assert titles[0][0] == (
        "long τ: 12 units, 3 networks\noff/on diagonal 0.50 (0.40 to 0.60)"
    )
    assert titles[0][1].endswith("off/on diagonal −0.10 (−0.20 to 0.00)")
    assert titles[1][1] == "12 units, 3 networks\noff/on diagonal undefined"
    assert [row[0].get_ylabel() for row in grid] == [
        "rate\ntime t₁ (ms)",
        "fixed\ntime t₁ (ms)",
    ]
    assert grid[0, 0].get_xlabel() == "" and grid[1, 1].get_xlabel() == "time t₂ (ms)"
    bars = [one.get_ylabel() for one in grid[0, 0].figure.axes]
    assert bars.count("discriminability") == 1
    with pytest.raises(ValueError, match=r"grid: got axes \(2, 2\), need \(2, 3\)"):
        draw.cross_temporal_stages(grid, codes, groups=GROUPS[:3])


def difference(p=(0.01, 0.4)):
    labels = np.zeros((4, 4), dtype=int)
    labels[2, 0], labels[3, 0], labels[0, 3] = 1, 1, 2
    values = np.arange(16).reshape(4, 4) / 20
    values[1, 1] = np.nan
    return Clusters(
        difference=values, times=TIMES, labels=labels, signs=[1, -1], p=p,
        permutations=99,
    )  # fmt: skip


def test_difference_outlines_what_is_no_chance():
    one = axes()
    assert draw.difference(one, difference()) is one
    assert one.get_title() == "long − short: 1 cluster with p ≤ 0.05"
    low, high = one.get_images()[0].get_clim()
    assert (low, high) == (-0.75, 0.75)
    (outline,) = (c for c in one.collections if isinstance(c, LineCollection))
    segments = np.array(outline.get_segments())
    # Two cells, one above the other: six edges, around 75–125 ms and 175–275 ms.
    assert segments.shape == (6, 2, 2)
    np.testing.assert_allclose(segments.min(axis=(0, 1)), [75, 175])
    np.testing.assert_allclose(segments.max(axis=(0, 1)), [125, 275])
    lengths = np.abs(segments[:, 1] - segments[:, 0]).sum(axis=1)
    np.testing.assert_allclose(lengths, 50)


def test_difference_without_clusters_says_so():
    one = draw.difference(axes(), difference((0.5, 0.6)))
    assert one.get_title() == "long − short: no clusters with p ≤ 0.05"
    nothing = dataclasses.replace(difference(), difference=np.full((4, 4), np.nan))
    assert draw.difference(axes(), nothing).get_images()[0].get_clim() == (-1, 1)


def test_decoding_course_tells_half_lives():
    one = axes()
    lives = {
        "all": life([0.9, 0.8, 0.6]),
        "long": life([0.9, 0.9, 0.9]),
        "lif": life([0.5, 0.5, 0.5]),
    }
    assert draw.decoding_course(one, lives, names={"all": "everyone"}) is one
    said = legend(one)
    # From 0.9 to 0.7 it takes 150 ms.
    assert said[0].startswith("everyone: 150 ms (")
    assert said[1:] == ["long: > 200 ms", "lif: not above chance"]
    np.testing.assert_allclose(one.get_lines()[0].get_xdata(), [0, 100, 200])
    (mark,) = (line for line in one.get_lines() if line.get_marker() == "D")
    np.testing.assert_allclose([*mark.get_xdata(), *mark.get_ydata()], [150, 0.7])
    assert len(one.collections) == 3
    assert (one.get_xlabel(), one.get_ylabel()) == (
        "time since training (ms)",
        "decoding accuracy",
    )


def test_half_lives_without_an_upper_end():
    """One row has no interval; a row that never falls has no upper end."""
    alone = half_life(
        np.array([[0.9, 0.8, 0.6]]), LAGS, rng=np.random.default_rng(0), resamples=5
    )
    one = draw.decoding_course(axes(), {"all": alone})
    assert legend(one) == ["all units: 150 ms"]
    mixed = np.array([[0.9, 0.9, 0.9]] * 2 + [[0.9, 0.6, 0.5]] * 4)
    open_ended = half_life(mixed, LAGS, rng=np.random.default_rng(0), resamples=200)
    (said,) = legend(draw.decoding_course(axes(), {"short": open_ended}))
    assert said.startswith("short τ: ") and said.endswith("to ∞)")


def test_decoding_course_wants_something():
    with pytest.raises(ValueError, match="lives: got none, need at least one"):
        draw.decoding_course(axes(), {})
