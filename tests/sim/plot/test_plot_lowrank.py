"""Pictures of a low-rank reading: what they say and show, by the axes they drew on."""

import re

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from isotau.sim.lowrank.dynamics import FixedPoint, Modes, Reduced, fixed_points
from isotau.sim.lowrank.overlaps import Overlaps
from isotau.sim.plot import plot_lowrank as draw

RNG = np.random.default_rng(0)


def axes(count=1):
    grid = Figure().subplots(1, count, squeeze=False)[0]
    return grid if count > 1 else grid[0]


def texts(one):
    return [text.get_text() for text in one.texts]


def legend(one):
    return [text.get_text() for text in one.get_legend().get_texts()]


def ticks(one, which):
    return [label.get_text() for label in getattr(one, f"get_{which}ticklabels")()]


OVERLAPS = Overlaps(
    names=("m1", "m2", "n1", "n2", "I1", "b", "w1"),
    rank=2,
    matrix=np.arange(49).reshape(7, 7) / 10.0,
    fractions=[0.75, 0.25],
    means=np.zeros((2, 7)),
    covariances=np.stack([np.full((7, 7), 0.5), -np.arange(49).reshape(7, 7) / 10.0]),
)


def test_kappa_traces_show_mean_and_spread():
    labels = np.array([3, 3, 5, 5])
    rate, lif = RNG.normal(size=(20, 4, 2)), RNG.normal(size=(100, 4, 2))
    pair = axes(2)
    stages = {"rate": (rate, 0.005), "LIF": (lif, 0.001)}
    assert draw.kappa_traces(pair, stages, labels, mode=1, names={3: "left"}) is pair
    assert [one.get_title() for one in pair] == ["rate", "LIF"]
    assert pair[0].get_ylim() == pair[1].get_ylim()
    assert legend(pair[0]) == ["left", "condition 5"]
    line = pair[1].get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), lif[:, :2, 1].mean(axis=1))
    np.testing.assert_allclose(line.get_xdata()[[0, -1]], [1, 100])
    assert pair[0].get_lines()[0].get_xdata()[-1] == 100
    assert (pair[0].get_xlabel(), pair[0].get_ylabel()) == ("time (ms)", "κ₂")


def test_overlap_matrix_has_the_numbers():
    one = axes()
    assert draw.overlap_matrix(one, OVERLAPS) is one
    assert ticks(one, "x") == ["m₁", "m₂", "I₁", "b"]
    assert ticks(one, "y") == ["n₁", "n₂", "w₁"]
    # Rows 2, 3, 6 and columns 0, 1, 4, 5 of the numbers 0 to 4.8.
    assert texts(one)[:4] == ["1.40", "1.50", "1.80", "1.90"]
    assert texts(one)[-1] == "4.70"
    image = one.get_images()[0]
    assert image.norm.vmin == -image.norm.vmax


def test_dark_cells_have_white_numbers():
    one = draw.overlap_matrix(axes(), OVERLAPS)
    colours = [to_hex(text.get_color()) for text in one.texts]
    assert (colours[0], colours[-1]) == ("#000000", "#ffffff")


def dots(one):
    return [c for c in one.collections if isinstance(c, PathCollection)]


def test_spectrum_marks_the_edge_and_the_slowest():
    found = Modes(eigenvalues=np.array([-4, -20 + 5j, -20 - 5j]))
    own = Modes(eigenvalues=np.array([-4 + 0j]))
    one = axes()
    assert draw.spectrum(one, found, reduced=own) is one
    assert one.get_title() == "eigenvalues, slowest: 250 ms"
    assert legend(one) == ["all units", "κ alone", "edge of stability"]
    np.testing.assert_allclose(dots(one)[0].get_offsets()[1], [-20, 5])
    low, high = one.get_xlim()
    assert low < -20
    assert high > 0


def test_an_unstable_spectrum_says_so():
    one = draw.spectrum(axes(), Modes(eigenvalues=np.array([3 + 0j, -1 + 0j])))
    assert one.get_title() == "eigenvalues, unstable"
    assert legend(one) == ["all units", "edge of stability"]
    assert one.get_xlim()[1] > 3


def pitchforks():
    """Two modes that do not know of each other: κ → 2 tanh κ and κ → 0."""
    return Reduced(
        rank=2,
        tau=0.1,
        target=lambda k: np.asarray(k) * 0 + 2 * np.tanh(k) * [1, 0],
        coupling=lambda k: np.diag([2 / np.cosh(k[0]) ** 2, 0]),
    )


def test_flow_field_shows_points_and_paths():
    reduced = pitchforks()
    points = fixed_points(reduced, RNG.normal(size=(10, 2)))
    one, path = axes(), np.array([[0.1, 1.0], [1.9, 0.0]])
    assert draw.flow_field(one, reduced, points, reach=3.0, paths={"rate": path}) is one
    assert legend(one) == ["rate", "stable", "saddle"]
    stable, saddle = dots(one)
    where = 1.9150080481545  # of κ = 2 tanh κ
    np.testing.assert_allclose(
        np.sort(stable.get_offsets()[:, 0]), [-where, where], atol=1e-6
    )
    np.testing.assert_allclose(saddle.get_offsets(), [[0, 0]], atol=1e-6)
    (mesh,) = (c for c in one.collections if isinstance(c, QuadMesh))
    speed = mesh.get_array().reshape(41, 41)
    np.testing.assert_allclose(speed[40, 20], 3 / 0.1)  # κ = (0, 3): −3/τ
    assert one.get_xlim() == (-3, 3)


def test_flow_line_shows_the_speed_and_the_points():
    reduced = Reduced(
        rank=1,
        tau=0.1,
        target=lambda k: 2 * np.tanh(k),
        coupling=lambda k: np.diag(2 / np.cosh(k) ** 2),
    )
    points = fixed_points(reduced, RNG.normal(size=(10, 1)))
    one = axes()
    assert draw.flow_line(one, reduced, points, reach=3.0) is one
    assert legend(one) == ["stable", "unstable"]
    stable, unstable = dots(one)
    where = 1.9150080481545  # of κ = 2 tanh κ
    np.testing.assert_allclose(
        np.sort(stable.get_offsets()[:, 0]), [-where, where], atol=1e-6
    )
    np.testing.assert_allclose(unstable.get_offsets(), [[0, 0]], atol=1e-6)
    speed = one.get_lines()[1].get_ydata()
    np.testing.assert_allclose(speed[-1], (2 * np.tanh(3) - 3) / 0.1)
    alone = draw.flow_line(axes(), reduced, (), reach=3.0)
    assert alone.get_legend() is None


def test_flow_field_of_the_field_alone_has_no_legend():
    assert draw.flow_field(axes(), pitchforks(), (), reach=1.0).get_legend() is None


def test_unstable_points_are_marked():
    point = FixedPoint(
        kappa=np.zeros(2), modes=Modes(eigenvalues=np.array([1 + 1j, 1 - 1j]))
    )
    one = draw.flow_field(axes(), pitchforks(), [point], reach=1.0)
    assert legend(one) == ["unstable"]


RATE = np.zeros((5, 4, 2))
REFUSED = [
    (
        lambda: draw.kappa_traces([axes()], {}, np.zeros(4)),
        "axes: got 1, need 0, one per stage",
    ),
    (
        lambda: draw.kappa_traces([axes()], {"rate": (RATE, 1.0)}, np.zeros(3)),
        "stages['rate']: got shape (5, 4, 2), need 3 trials and more than 0 modes",
    ),
    (
        lambda: draw.kappa_traces([axes()], {"a": (RATE, 1.0)}, np.zeros(4), mode=2),
        "stages['a']: got shape (5, 4, 2), need 4 trials and more than 2 modes",
    ),
    (
        lambda: draw.flow_line(axes(), pitchforks(), (), reach=1.0),
        "reduced: got rank 2, need 1 for a line",
    ),
    (
        lambda: draw.flow_field(
            axes(),
            Reduced(rank=1, tau=1.0, target=np.tanh, coupling=np.diag),
            (),
            reach=1.0,
        ),
        "reduced: got rank 1, need 2 for a plane",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_refusals(call, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        call()
