"""Pictures of timescales: what they show, by the artists on the axes."""

import dataclasses
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from isotau.sim.plot import plot_timescales as draw
from isotau.sim.timescales import MLConfig, Series, Status, Timescales, ml
from isotau.sim.timescales.estimators.ml import prepared, profiles
from isotau.sim.timescales.estimators.population import PopulationTimescale


@pytest.fixture
def axes():
    """Axes of their own; whatever is drawn on them can be written without a warning."""
    before = dict(matplotlib.rcParams), pyplot.get_fignums()
    figure = Figure(layout="constrained")
    yield figure.subplots()
    figure.savefig(BytesIO(), format="png")
    assert (dict(matplotlib.rcParams), pyplot.get_fignums()) == before


def timescales(tau, other=Status.NOT_IDENTIFIABLE, **fields):
    tau = np.asarray(tau, dtype=float)
    none = np.full(tau.size, np.nan)
    status = tuple(Status.OK if np.isfinite(t) else other for t in tau)
    fields = {"amplitude": none, "offset": none, "rate": none, **fields}
    return Timescales(
        tau=tau, status=status, method="ml", bin_width=0.05, lags=14, **fields
    )


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def said(axes):
    return [text.get_text() for text in axes.texts]


def labelled(axes, start):
    (line,) = (one for one in axes.get_lines() if one.get_label().startswith(start))
    return line


def test_calibration_has_medians_and_quartiles_of_the_identified(axes):
    truth = np.repeat([0.05, 0.2], 5)
    tau = np.array([0.04, 0.05, 0.06, 0.07, np.nan, 0.1, 0.2, 0.21, 0.5, 0.6])
    assert draw.calibration(axes, truth, {"ml": timescales(tau)}) is axes
    assert legend(axes)[0] == "ml: 90% identified, 50% within ±25%"
    line = labelled(axes, "ml")
    np.testing.assert_allclose(line.get_xdata(), [50, 200])
    np.testing.assert_allclose(line.get_ydata(), [55, 210])
    (bars,) = (c for c in axes.collections if isinstance(c, LineCollection))
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, [[47.5, 62.5], [200, 500]])
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlabel() == "true τ (ms)"


def test_calibration_takes_arrays_and_sets_estimators_apart(axes):
    truth = np.repeat([0.05, 0.1], 3)
    draw.calibration(axes, truth, {"$a": truth, "b": np.full(6, np.nan)})
    a, b = labelled(axes, r"\$a"), labelled(axes, "b")
    assert (a.get_xdata() < b.get_xdata()).all()
    np.testing.assert_allclose(
        np.sqrt(a.get_xdata() * b.get_xdata()), [50, 100], rtol=1e-12
    )
    assert np.isnan(b.get_ydata()).all()
    assert legend(axes)[1] == "b: 0% identified, 0% within ±25%"


def test_calibration_groups_many_truths(axes):
    truth = np.geomspace(0.02, 0.5, 40)
    draw.calibration(axes, truth, {"ml": 2 * truth})
    line = labelled(axes, "ml")
    tenths = 1e3 * np.median(truth.reshape(10, 4), axis=1)
    np.testing.assert_allclose(line.get_xdata(), tenths)
    np.testing.assert_allclose(line.get_ydata(), 2 * tenths)


@pytest.mark.parametrize(
    ("found", "text"),
    [({}, "no estimator to show"), ({"ml": np.zeros(0)}, "no neuron to show")],
)
def test_calibration_of_nothing_says_so(axes, found, text):
    draw.calibration(axes, np.zeros(0), found)
    assert said(axes) == [text]


def test_calibration_refuses_what_does_not_fit(axes):
    with pytest.raises(
        ValueError, match=r"timescales\['ml'\]: got shape \(2,\), need \(3,\) as true"
    ):
        draw.calibration(axes, np.full(3, 0.1), {"ml": timescales([0.1, 0.2])})
    with pytest.raises(ValueError, match="true_taus: got"):
        draw.calibration(axes, np.array([0.1, -1.0]), {})


def rho(n):
    values = 0.3 * np.exp(-np.arange(1, 9) / 2)[:, None] * np.linspace(0.5, 1.5, n)
    values[:, 0] = np.nan
    return values


def population(method="exponential", offset=0.1, **fields):
    return PopulationTimescale(
        **{
            "tau": 0.1, "status": Status.OK, "low": 0.08, "high": np.inf,
            "estimate": 0.1, "amplitude": 0.4, "offset": offset, "goodness": 1.0,
            "neurons": 4, "rho": np.zeros(8), "method": method, "bin_width": 0.05,
            "level": 0.95, **fields,
        }
    )  # fmt: skip


def test_autocorrelations_are_faint_their_mean_is_bold(axes):
    values = rho(5)
    assert draw.autocorrelations(axes, values, 0.05, fit=population()) is axes
    (faint,) = (c for c in axes.collections if isinstance(c, LineCollection))
    lines = np.array(faint.get_segments())
    np.testing.assert_allclose(lines[:, :, 1], values[:, 1:].T)
    np.testing.assert_allclose(lines[0, :, 0], 50 * np.arange(1, 9))
    mean = labelled(axes, "mean")
    np.testing.assert_allclose(mean.get_ydata(), values[:, 1:].mean(axis=1))
    fit = labelled(axes, "fit")
    assert fit.get_ydata()[0] == pytest.approx(0.4 * np.exp(-0.5) + 0.1)
    assert legend(axes) == ["mean of 4 neurons", "fit: τ = 100 ms (80 to ∞)"]
    assert axes.get_xlabel() == "lag (ms)"


@pytest.mark.parametrize(
    ("fit", "start", "text"),
    [
        (population("kim"), 0.4 * (np.exp(-0.5) + 0.1), "fit: τ = 100 ms (80 to ∞)"),
        (population(offset=np.nan, low=np.nan), 0.4 * np.exp(-0.5), "fit: τ = 100 ms"),
        (
            population(tau=np.nan, status=Status.AT_BOUND, high=0.3),
            0.4 * np.exp(-0.5) + 0.1,
            "fit: τ = 100 ms (80 to 300), at bound",
        ),
    ],
)
def test_fits_differ_in_what_they_call_an_offset(axes, fit, start, text):
    draw.autocorrelations(axes, rho(3), 0.05, fit=fit)
    assert labelled(axes, "fit").get_ydata()[0] == pytest.approx(start)
    assert legend(axes)[1] == text


def test_autocorrelations_of_very_many_neurons_are_thinned(axes):
    draw.autocorrelations(axes, rho(1001), 0.05, fit=population(estimate=np.nan))
    (faint,) = (c for c in axes.collections if isinstance(c, LineCollection))
    assert len(faint.get_segments()) == 200
    assert legend(axes) == ["mean of 1000 neurons"]


def test_autocorrelations_of_none(axes):
    draw.autocorrelations(axes, np.full((8, 2), np.nan), 0.05)
    assert said(axes) == ["no neuron has an autocorrelation"]
    with pytest.raises(ValueError, match=r"rho: got shape \(8,\), need lag × neuron"):
        draw.autocorrelations(axes, np.zeros(8), 0.05)


@pytest.fixture(scope="module")
def measured():
    """A neuron that decays with 100 ms, one of white noise, and a silent one."""
    rng = np.random.default_rng(0)
    values = np.zeros((20, 100, 3))
    values[0, :, 0] = rng.normal(size=100)
    for i in range(1, 20):
        step = np.sqrt(1 - np.exp(-1)) * rng.normal(size=100)
        values[i, :, 0] = np.exp(-0.5) * values[i - 1, :, 0] + step
    values[:, :, 1] = rng.normal(size=(20, 100))
    data = prepared(Series(values=values, bin_width=0.05, kind="signal"), 0.05)
    return profiles(data, MLConfig()), ml(data)


def test_profile_shows_the_likelihood_the_estimate_and_the_interval(axes, measured):
    found, taus = measured
    assert draw.profile(axes, found, 0, timescales=taus) is axes
    curve = axes.get_lines()[0]
    np.testing.assert_allclose(curve.get_xdata(), 1e3 * found.taus)
    assert curve.get_ydata().max() == pytest.approx(1)
    best, low, high = 1e3 * taus.tau[0], 1e3 * taus.low[0], 1e3 * taus.high[0]
    assert 70 < low < best < high < 150
    assert labelled(axes, "estimate").get_xdata()[0] == pytest.approx(best)
    bar = labelled(axes, "95% interval")
    np.testing.assert_allclose(bar.get_xdata(), [low, high])
    # The ends of the interval are where the likelihood has its height.
    at_ends = np.interp([low, high], curve.get_xdata(), curve.get_ydata())
    np.testing.assert_allclose(bar.get_ydata(), at_ends, rtol=0.12)
    assert axes.get_title(loc="left") == "neuron 0, ok"
    assert f"95% interval: {low:.0f} to {high:.0f} ms" in legend(axes)


def test_profile_without_an_upper_end(axes, measured):
    found, taus = measured
    open_ended = dataclasses.replace(taus, high=np.full(3, np.inf))
    draw.profile(axes, found, 0, timescales=open_ended)
    assert labelled(axes, "95% interval").get_xdata()[1] == 1e3 * found.taus[-1]
    assert legend(axes)[0] == f"95% interval: from {1e3 * taus.low[0]:.0f} ms"


def test_profile_of_a_neuron_without_a_fit(axes, measured):
    found, taus = measured
    draw.profile(axes, found, 2, timescales=taus)
    assert said(axes) == ["no likelihood: nothing could be fitted"]
    assert axes.get_title(loc="left").startswith("neuron 2, undefined")


def test_profile_alone(axes, measured):
    found, _ = measured
    draw.profile(axes, found, 1)
    assert len(axes.get_lines()) == 1 and axes.get_legend() is None
    assert axes.get_title(loc="left") == "neuron 1"
    with pytest.raises(ValueError, match="k: got 3, need"):
        draw.profile(axes, found, 3)


def test_identified_stacks_statuses_to_a_hundred(axes):
    stages = {
        "rate": timescales([0.1] * 6 + [np.nan] * 2),
        "fixed$": timescales([0.1, np.nan, np.nan, np.nan], Status.NO_DECAY),
    }
    assert draw.identified(axes, stages) is axes
    assert legend(axes) == ["ok", "not identifiable", "no decay"]
    bars = {bar.get_label(): bar.patches for bar in axes.containers}
    widths = {name: [p.get_width() for p in bar] for name, bar in bars.items()}
    assert widths == {
        "ok": [75, 25],
        "not identifiable": [25, 0],
        "no decay": [0, 75],
    }
    assert [p.get_x() for p in bars["no decay"]] == [100, 25]
    assert [text for text in said(axes) if text] == ["6", "1", "2", "3"]
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert ticks == ["rate\nn = 8", "fixed\\$\nn = 4"]
    top, bottom = axes.transData.transform([(0, 0), (0, 1)])[:, 1]
    assert top > bottom
    assert axes.get_xlabel() == "share of neurons (%)"


def test_every_status_has_a_look_of_its_own():
    assert set(draw.LOOKS) == {status.value for status in Status}
    assert len(set(draw.LOOKS.values())) == len(draw.LOOKS)


def test_narrow_segments_have_no_number(axes):
    draw.stacked_bars(axes, {"a": {"x": 1, "y": 99}}, {"x": ("k", ""), "y": ("w", "")})
    assert said(axes) == ["", "99"]


@pytest.mark.parametrize("rows", [{}, {"a": {"x": 0}}])
def test_identified_of_nothing_says_so(axes, rows):
    draw.stacked_bars(axes, rows, {"x": ("k", "")})
    assert said(axes) == ["no neuron to show"]
    assert axes.get_legend() is None


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (60, 400, ["70", "100", "150", "200", "300"]),
        (5, 500, ["5", "10", "20", "50", "100", "200", "500"]),
        (1, 2e4, ["1", "10", "100", "1000", "10000"]),
        (0.04, 3, ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
    ],
)
def test_logarithmic_axes_have_few_ticks_in_full(axes, low, high, ticks):
    draw.log_scale(axes, "y", low, high)
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert shown == ticks
    assert axes.get_ylim() == (low, high)


def test_limits_hold_all_values_and_are_never_too_narrow():
    assert draw.limits([]) == (5, 500)
    assert draw.limits([100.0]) == pytest.approx((40, 250))
    low, high = draw.limits([13.0, 1000.0])
    assert (low, high) == pytest.approx((10, 1300))
