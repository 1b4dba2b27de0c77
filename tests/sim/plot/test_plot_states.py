"""Pictures of states compared: units, those that are off, and autocorrelations."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex

from isotau.sim.plot import plot_states as draw
from isotau.sim.plot.on_axes import BLUE, GREEN, ORANGE, RED
from isotau.sim.states import (
    Margins,
    StateComparison,
    StateShape,
    StateTau,
    Switching,
    decide,
    paired,
    summary,
)

BLOCKS, INTERVAL, LAGS = 20, 0.005, 400
TAU = np.geomspace(0.03, 0.09, 30)
WINDOW = INTERVAL * (LAGS - 1)


def stage(tau, *, trials=400, still=(), error=0.02):
    """Exponential autocorrelations; NaN is a unit that is slower than the window."""
    tau = np.asarray(tau, dtype=float)
    lag = INTERVAL * np.arange(LAGS)[:, None]
    spread = np.sin(np.arange(BLOCKS))[:, None]
    spread = spread * error / np.sqrt((BLOCKS - 1) / BLOCKS * np.sum(spread**2))
    return StateTau(
        tau=tau,
        replicates=np.log(tau) + spread - spread.mean(),
        sd=np.where(np.isin(np.arange(tau.size), still), 0.0, 1.0),
        autocorrelation=np.exp(-lag / np.nan_to_num(tau, nan=10.0)),
        window=WINDOW,
        trials=trials,
    )


def comparison(a, b, names=("lif", "fixed"), margins=None):
    pair, margins = paired(a, b), margins or Margins()
    none = np.full(len(a.tau), np.nan)
    shape = StateShape(
        **dict.fromkeys(StateShape.__slots__, none) | {"oscillating": none > 0}
    )
    return StateComparison(
        a=names[0],
        b=names[1],
        decision=decide(pair, margins),
        pair=pair,
        floor=paired(a, a),
        memory=(Switching(), Switching()),
        look=1,
        trials=a.trials,
        length=4.0,
        margins=margins,
        shapes=(shape, shape),
    )


def dots(axes, colour):
    """Places of the dots and triangles of a colour."""
    every = [np.zeros((0, 2))]
    for drawn in axes.collections:
        if isinstance(drawn, PathCollection):
            places = np.asarray(drawn.get_offsets())
            colours = [to_hex(c).upper() for c in drawn.get_facecolors()]
            colours *= len(places) // len(colours)
            every.append(places[[c == colour for c in colours]])
    return np.concatenate(every)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def said(axes):
    return [text.get_text() for text in axes.texts]


def labelled(axes, name):
    (line,) = (one for one in axes.get_lines() if one.get_label() == name)
    return line


def test_units_stand_at_their_timescales(axes):
    found = comparison(stage(TAU), stage(1.02 * TAU))
    assert draw.tau_of_units(axes, found) is axes
    np.testing.assert_allclose(dots(axes, BLUE), 1e3 * np.c_[TAU, 1.02 * TAU])
    assert not dots(axes, RED).size
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("τ LIF (ms)", "τ chip (ms)")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlim() == axes.get_ylim()
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert {"30", "50", "100"} <= set(ticks) and all(tick.isdecimal() for tick in ticks)
    assert axes.get_title(loc="left") == "30 of 30 units have τ at both"
    assert legend(axes) == ["within 20%", "identity", "others: 30"]


def test_the_band_is_the_margin_of_units(axes):
    found = comparison(stage(TAU), stage(TAU), margins=Margins(unit=0.5))
    draw.tau_of_units(axes, found)
    assert legend(axes)[0] == "within 50%"
    x, y = axes.collections[0].get_paths()[0].vertices.T
    np.testing.assert_allclose([np.min(y / x), np.max(y / x)], [1 / 1.5, 1.5])


def test_bars_are_intervals(axes):
    found = comparison(stage(TAU), stage(TAU, error=0.1))
    draw.tau_of_units(axes, found)
    across, up = (c for c in axes.collections if isinstance(c, LineCollection))
    low, high = found.pair.b.interval()
    ends = np.array(up.get_segments())
    np.testing.assert_allclose(ends[:, 0, 0], 1e3 * TAU)
    np.testing.assert_allclose(ends[:, :, 1], 1e3 * np.c_[low, high])
    narrow = np.array(across.get_segments())
    assert (np.ptp(narrow[:, :, 0], axis=1) < np.ptp(ends[:, :, 1], axis=1)).all()
    assert up.get_alpha() < 0.5


def test_bars_stay_within_the_axes(axes):
    error = 3.0
    draw.tau_of_units(axes, comparison(stage(TAU), stage(TAU, error=error)))
    ends = axes.get_ylim()
    for drawn in axes.collections:
        if isinstance(drawn, LineCollection):
            y = np.array(drawn.get_segments())[:, :, 1]
            assert y.min() >= ends[0] and y.max() <= ends[1]


def test_units_that_are_off_are_red_as_the_sentence_counts_them(axes):
    off = TAU * np.where(np.arange(30) % 10 == 0, 1.6, 1.0)
    found = comparison(stage(TAU), stage(off))
    draw.tau_of_units(axes, found)
    np.testing.assert_allclose(dots(axes, RED), 1e3 * np.c_[TAU, off][::10])
    assert len(dots(axes, BLUE)) == 27
    assert found.decision.beyond == 3 and summary(found)["beyond_units"] == [0, 10, 20]
    assert legend(axes)[2:] == ["others: 27", "surely beyond: 3"]


def test_units_beyond_the_window_are_on_the_rim(axes):
    a, b = TAU.copy(), TAU.copy()
    a[[1, 2]] = np.nan
    b[[2, 3, 4]] = np.nan
    draw.tau_of_units(axes, comparison(stage(a), stage(b)))
    low, high = axes.get_xlim()
    rim = dots(axes, RED)
    assert len(rim) == 3 and len(dots(axes, BLUE)) == 26
    (beside,) = rim[rim[:, 0] > 0.9 * high]
    assert beside[1] == pytest.approx(1e3 * TAU[1])
    above = rim[rim[:, 1] > 0.9 * high]
    np.testing.assert_allclose(above[:, 0], 1e3 * TAU[[3, 4]])
    assert low < rim.min() and rim.max() < high
    assert axes.get_title(loc="left") == (
        "26 of 30 units have τ at both, 1 longer than 2 s at both"
    )
    assert legend(axes)[3:] == [
        "longer than 2 s in the chip: 2",
        "longer than 2 s in the LIF: 1",
    ]


def test_a_unit_near_the_window_may_have_passed_it_by_chance(axes):
    """On the rim and blue: it is not shown to be off."""
    b = TAU.copy()
    a = np.where(np.arange(30) == 5, 0.95 * WINDOW, TAU)
    b[5] = np.nan
    draw.tau_of_units(axes, comparison(stage(a), stage(b)))
    assert len(dots(axes, BLUE)) == 30 and not dots(axes, RED).size


def test_without_a_unit_at_both_it_is_said(axes):
    none = np.full(6, np.nan)
    draw.tau_of_units(axes, comparison(stage(none), stage(none)))
    assert said(axes) == ["no unit has a timescale at both"]
    title = axes.get_title(loc="left")
    assert title == "0 of 6 units have τ at both, 6 longer than 2 s at both"


def test_autocorrelations_are_medians_with_quartiles(axes):
    rate, lif, chip = stage(TAU), stage(1.1 * TAU), stage(1.2 * TAU)
    found = [
        comparison(rate, lif, ("rate", "lif")),
        comparison(lif, chip, ("lif", "fixed")),
    ]
    assert draw.autocorrelations(axes, found) is axes
    assert legend(axes) == ["rate network", "LIF", "chip"]
    for name, tau, colour in zip(
        legend(axes), (rate, lif, chip), (BLUE, ORANGE, GREEN), strict=True
    ):
        line = labelled(axes, name)
        assert line.get_color() == colour
        x, y = line.get_data()
        np.testing.assert_allclose(x, 1e3 * INTERVAL * np.arange(LAGS))
        np.testing.assert_allclose(y, np.median(tau.autocorrelation, axis=1))
    band = axes.collections[0].get_paths()[0].vertices
    low, high = np.percentile(rate.autocorrelation[10], (25, 75))
    at_lag = band[np.isclose(band[:, 0], 50.0), 1]
    np.testing.assert_allclose([at_lag.min(), at_lag.max()], [low, high])
    # Until the slowest has fallen.
    last = np.argmax(np.median(chip.autocorrelation, axis=1) < 0.05)
    assert axes.get_xlim() == pytest.approx((0, 1e3 * INTERVAL * last))
    assert axes.get_xlabel() == "lag (ms)"
    assert axes.get_title(loc="left") == "median and quartiles of 30 units"


def test_long_lags_are_in_seconds(axes):
    slow = stage(np.full(5, 0.6))
    draw.autocorrelations(axes, [comparison(slow, slow)])
    assert axes.get_xlabel() == "lag (s)"
    assert axes.get_xlim() == pytest.approx((0, 0.6 * np.log(20)), abs=INTERVAL)


def test_where_nothing_falls_the_whole_window_is_shown(axes):
    slow = stage(np.full(5, 30.0))
    draw.autocorrelations(axes, [comparison(slow, slow)])
    assert axes.get_xlim() == pytest.approx((0, WINDOW))


def test_the_run_with_most_trials_is_drawn(axes):
    few, many = stage(1.5 * TAU, trials=40), stage(TAU, trials=400)
    found = [
        comparison(few, many, ("lif", "fixed")),
        comparison(stage(TAU), few, ("rate", "fixed")),
    ]
    draw.autocorrelations(axes, found)
    assert legend(axes) == ["rate network", "LIF", "chip"]
    chip = labelled(axes, "chip").get_ydata()
    np.testing.assert_allclose(chip, np.median(many.autocorrelation, axis=1))


def test_units_that_do_not_move_have_no_autocorrelation(axes):
    still = stage(TAU, still=range(10))
    draw.autocorrelations(axes, [comparison(still, still)])
    curve = labelled(axes, "LIF").get_ydata()
    np.testing.assert_allclose(curve, np.median(still.autocorrelation[:, 10:], axis=1))


@pytest.mark.parametrize("still", [[], [stage(TAU, still=range(30))]])
def test_where_nothing_moves_it_is_said(axes, still):
    draw.autocorrelations(axes, [comparison(each, each) for each in still])
    assert said(axes) == ["no unit moves"]


def test_stages_of_other_names_have_colours_too(axes):
    found = comparison(stage(TAU), stage(TAU), ("lif a", "lif b"))
    draw.autocorrelations(axes, [found])
    assert legend(axes) == ["lif a", "lif b"]
    colours = {labelled(axes, name).get_color() for name in legend(axes)}
    assert colours == {BLUE, ORANGE}
