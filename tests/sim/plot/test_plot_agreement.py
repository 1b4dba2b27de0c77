"""Pictures of two stages neuron by neuron, by the artists on the axes."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from scipy import stats

from isotau.sim.plot import plot_agreement as draw
from isotau.sim.preservation import Pair
from isotau.sim.timescales import Status, Timescales

NAMES = ("lif", "fixed")
EMPTY = "no neuron has a timescale in both"


def timescales(log_tau, rate=None, lost=Status.NOT_IDENTIFIABLE):
    none, found = np.full(log_tau.size, np.nan), np.isfinite(log_tau)
    return Timescales(
        tau=np.exp(log_tau),
        status=tuple(Status.OK if k else lost for k in found),
        amplitude=none,
        offset=none,
        rate=none if rate is None else rate,
        method="ml",
        bin_width=0.05,
        lags=14,
    )


def pair(seed, n, *, shift=0.0, slope=1.0, noise=0.1, gone=0, rate=None, **fields):
    """log τ_b = shift + slope · log τ_a in truth; b loses the first `gone` neurons."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(np.log(0.1), 0.6, n)
    runs = [t + noise * rng.normal(size=(2, n)) for t in (truth, shift + slope * truth)]
    runs[1][:, :gone] = np.nan
    a, a_again, b, b_again = (timescales(run, rate) for run in np.concatenate(runs))
    name = fields.pop("name", f"net {seed}")
    return Pair(name=name, a=a, a_again=a_again, b=b, b_again=b_again, **fields)


def several(networks=4, n=60, **truth):
    return [pair(seed, n, **truth) for seed in range(networks)]


def none_in_both():
    found, nothing = timescales(np.zeros(5)), timescales(np.full(5, np.nan))
    return [Pair(name="x", a=found, a_again=found, b=nothing, b_again=nothing)]


def dots(axes):
    (scatter,) = (c for c in axes.collections if isinstance(c, PathCollection))
    return np.asarray(scatter.get_offsets())


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def said(axes):
    return [text.get_text() for text in axes.texts]


def labelled(axes, start):
    (line,) = (one for one in axes.get_lines() if one.get_label().startswith(start))
    return line


def taus(pairs, run):
    return np.concatenate([1e3 * getattr(one, run).tau for one in pairs])


def test_scatter_has_every_neuron_that_both_stages_have(axes):
    pairs = several(gone=3, slope=1.5, shift=0.8)
    assert draw.tau_scatter(axes, pairs, names=NAMES) is axes
    a, b = taus(pairs, "a"), taus(pairs, "b")
    both = np.isfinite(b)
    np.testing.assert_allclose(dots(axes), np.stack([a[both], b[both]], axis=1))
    low, high = axes.get_xlim()
    assert axes.get_ylim() == (low, high)
    assert low < dots(axes).min() and dots(axes).max() < high
    # Noise of 0.1 beside a spread of 0.6: Deming's line is the truth's.
    line = labelled(axes, "Deming")
    slope = np.ptp(np.log(line.get_ydata())) / np.ptp(np.log(line.get_xdata()))
    assert slope == pytest.approx(1.5, abs=0.05)
    at_100 = np.interp(np.log(100), np.log(line.get_xdata()), np.log(line.get_ydata()))
    assert at_100 == pytest.approx(np.log(1e3) + 0.8 + 1.5 * np.log(0.1), abs=0.05)
    assert legend(axes) == ["× or ÷ 1.25", "identity", f"Deming, slope {slope:.2f}"]
    title = axes.get_title(loc="left")
    assert title.startswith("228 of 240 neurons in both, r = 0.9")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("τ lif (ms)", "τ fixed (ms)")


def test_scatter_band_is_the_margin(axes):
    draw.tau_scatter(axes, several(), names=NAMES, margin=np.log(2))
    band = axes.collections[0].get_paths()[0].vertices
    ratio = np.unique(np.round(band[:, 1] / band[:, 0], 9))
    np.testing.assert_allclose(ratio, [0.5, 2])
    assert legend(axes)[0] == "× or ÷ 2"


def test_a_falling_line_has_a_minus_sign(axes):
    draw.tau_scatter(axes, several(slope=-1.0, shift=-4.6), names=NAMES)
    assert legend(axes)[2].startswith("Deming, slope −")
    assert ", r = −0.9" in axes.get_title(loc="left")


def test_bland_altman_has_ratios_and_their_limits(axes):
    pairs = several(8, 200, shift=0.3, noise=0.2)
    assert draw.bland_altman(axes, pairs, names=NAMES) is axes
    a, b = taus(pairs, "a"), taus(pairs, "b")
    np.testing.assert_allclose(dots(axes)[:, 0], stats.gmean([a, b], axis=0))
    np.testing.assert_allclose(dots(axes)[:, 1], b / a)
    sd = 0.2 * np.sqrt(2)
    lines = [line.get_ydata()[0] for line in axes.get_lines()]
    expected = [1, np.exp(0.3), np.exp(0.3 - 1.96 * sd), np.exp(0.3 + 1.96 * sd)]
    np.testing.assert_allclose(lines, expected, rtol=0.05)
    (band,) = axes.patches
    floor = np.exp([-1.96 * sd, 1.96 * sd])
    np.testing.assert_allclose(
        [band.get_y(), band.get_y() + band.get_height()], floor, rtol=0.05
    )
    assert [text.split(":")[0] for text in legend(axes)] == [
        "floor", "mean ratio", "95 % limits",
    ]  # fmt: skip
    low, high = axes.get_ylim()
    assert low == pytest.approx(1 / high) and high > dots(axes)[:, 1].max()


def test_distributions_are_in_the_papers_bins_and_more(axes):
    pairs = [pair(0, 50), pair(1, 50, shift=2.0, gone=10)]
    assert draw.tau_distributions(axes, pairs, names=NAMES) is axes
    first, second = axes.patches
    for drawn, run in ((first, "a"), (second, "b")):
        counts, edges, _ = drawn.get_data()
        found = taus(pairs, run)[np.isfinite(taus(pairs, run))]
        assert counts.sum() == found.size
        steps = np.log10(edges)
        np.testing.assert_allclose(np.diff(steps), 0.1)
        assert steps[0] == pytest.approx(0.7) and steps[-1] > 2.7
        inside = (found >= edges[10]) & (found < edges[11])
        assert counts[10] == inside.sum()
    medians = [line.get_xdata()[0] for line in axes.get_lines()]
    expected = [np.nanmedian(taus(pairs, run)) for run in ("a", "b")]
    np.testing.assert_allclose(medians, expected)
    assert legend(axes) == [
        f"lif: n = 100, median {expected[0]:.0f} ms",
        f"fixed: n = 90, median {expected[1]:.0f} ms",
    ]


def test_distributions_end_at_501_ms_if_no_timescale_is_longer(axes):
    draw.tau_distributions(axes, [pair(0, 20, noise=0.01)], names=NAMES)
    _, edges, _ = axes.patches[0].get_data()
    np.testing.assert_allclose(edges, 10 ** np.arange(0.7, 2.75, 0.1))


def test_quantiles_of_shifted_timescales_are_shifted(axes):
    pairs = several(2, 100, shift=0.5, noise=1e-9)
    assert draw.tau_quantiles(axes, pairs, names=NAMES) is axes
    every, quartiles = axes.get_lines()[1:]
    assert every.get_xdata().size == 100
    for line in (every, quartiles):
        np.testing.assert_allclose(line.get_ydata() / line.get_xdata(), np.exp(0.5))
    np.testing.assert_allclose(
        quartiles.get_xdata(), np.percentile(taus(pairs, "a"), [25, 50, 75])
    )


@pytest.mark.parametrize("by", ["rate", "tau_syn"])
def test_ratio_against_a_covariate_finds_its_slope(axes, by):
    """The slope is that within networks, whatever lies between them."""
    rng = np.random.default_rng(5)
    pairs = []
    for k in range(6):
        x = rng.uniform(0.5, 1.5, 80) + k
        log_a = rng.normal(-2, 0.5, 80)
        log_b = log_a - 0.4 * x + 0.9 * k
        a, b = timescales(log_a, np.exp(x)), timescales(log_b)
        runs = {"a": a, "a_again": a, "b": b, "b_again": b}
        pairs.append(Pair(name=f"n{k}", **runs, tau_syn=np.exp(x) / 1e3))
    assert draw.ratio_against(axes, pairs, by=by, names=NAMES) is axes
    every = np.concatenate([1e3 * one.tau_syn for one in pairs])
    np.testing.assert_allclose(dots(axes)[:, 0], every)
    np.testing.assert_allclose(dots(axes)[:, 1], taus(pairs, "b") / taus(pairs, "a"))
    line = labelled(axes, "slope")
    rise = np.diff(np.log(line.get_ydata())) / np.diff(np.log(line.get_xdata()))
    assert rise == pytest.approx(-0.4)
    assert legend(axes) == ["running median", "slope −0.40"]
    label = {"rate": "firing rate at stage lif (Hz)", "tau_syn": "synaptic τ (ms)"}[by]
    assert axes.get_xlabel() == label


def test_running_median_is_one_of_neighbours(axes):
    one = pair(3, 240, rate=np.geomspace(1, 50, 240), noise=0.3)
    draw.ratio_against(axes, [one], by="rate")
    line = labelled(axes, "running median")
    ratio = np.log(one.b.tau / one.a.tau)
    assert np.log(line.get_ydata()[0]) == pytest.approx(np.median(ratio[:20]))
    assert np.log(line.get_ydata()[-1]) == pytest.approx(np.median(ratio[-20:]))
    assert line.get_xdata()[1] == pytest.approx(stats.gmean(one.a.rate[14:16]))


def test_few_or_equal_covariates_have_no_median(axes):
    silent = np.array([0.0, 2.0, 4.0, np.nan])
    few = [pair(1, 4, rate=silent), pair(2, 4, gone=4, rate=np.ones(4))]
    draw.ratio_against(axes, few, by="rate")
    assert len(dots(axes)) == 2
    assert len(legend(axes)) == 1
    equal = Figure().subplots()
    draw.ratio_against(equal, several(tau_syn=np.full(60, 0.02)), by="tau_syn")
    assert equal.get_legend() is None
    apart = Figure().subplots()
    each = [pair(k, 3, tau_syn=np.full(3, 0.02 * (k + 1))) for k in range(2)]
    draw.ratio_against(apart, each, by="tau_syn")
    assert apart.get_legend() is None


def test_ratio_against_knows_two_covariates(axes):
    with pytest.raises(ValueError, match="by: got 'sign', need one of rate, tau_syn"):
        draw.ratio_against(axes, [], by="sign")


@pytest.mark.parametrize("by", ["rate", "tau_syn"])
def test_covariates_that_are_not_given(axes, by):
    draw.ratio_against(axes, several(), by=by)
    assert said(axes) == [f"{EMPTY} and a {by}"]


@pytest.mark.parametrize("pairs", [[], none_in_both()])
@pytest.mark.parametrize(
    ("function", "text"),
    [
        (draw.tau_scatter, EMPTY),
        (draw.bland_altman, EMPTY),
        (draw.tau_quantiles, "a stage has no timescales"),
    ],
)
def test_no_neuron_in_both(axes, function, text, pairs):
    assert function(axes, pairs, names=NAMES) is axes
    assert said(axes) == [text]
    assert axes.get_xlabel() and axes.get_ylabel()


def test_no_neuron_at_all(axes):
    draw.tau_distributions(axes, [], names=NAMES)
    assert said(axes) == ["no neuron has a timescale"]
    assert legend(axes) == ["lif: n = 0", "fixed: n = 0"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_neurons(n):
    one = [pair(0, n)]
    for function in (
        draw.tau_scatter, draw.bland_altman, draw.tau_distributions, draw.tau_quantiles,
    ):  # fmt: skip
        axes = Figure().subplots()
        function(axes, one, names=NAMES)
        axes.figure.savefig(BytesIO(), format="png")


@pytest.mark.parametrize("reach", [0.3, 0.8, 2.0, 3.0, 6.0])
def test_axes_of_ratios_have_the_same_ticks_up_and_down(axes, reach):
    draw.ratio_scale(axes, "y", reach)
    ticks = axes.get_yticks()
    assert 1 in ticks and 3 <= ticks.size <= 9
    assert np.sum(ticks > 1) == np.sum(ticks < 1) or reach < 1
