"""Pictures of a comparison over networks: what they show, by their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy import stats

from isotau.sim.plot import plot_preservation as draw
from isotau.sim.plot.draw import LOOKS
from isotau.sim.preservation import (
    Curves,
    Pair,
    PreservationConfig,
    compare_spikes,
)
from isotau.sim.timescales import Status, Timescales

CONFIG = PreservationConfig(draws=100)
NAMES = ("lif", "fixed")


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


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def said(axes):
    return [text.get_text() for text in axes.texts]


def labelled(axes, start):
    (line,) = (one for one in axes.get_lines() if one.get_label().startswith(start))
    return line


def curves(lags=6, networks=2, n=3, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    decay = np.exp(-np.arange(1.0, lags + 1) / 2)[:, None] * np.ones(n)

    def runs(shape):
        return {name: shape + noise * rng.normal(size=shape.shape) for name in draw_of}

    draw_of = ("a", "a_again", "b", "b_again")
    return [Curves(name=f"n{k}", **runs(decay)) for k in range(networks)]


def test_mean_curves_are_means_of_runs_neurons_and_networks(axes):
    found = curves()
    assert draw.mean_curves(axes, found, bin_width=0.05, names=NAMES) is axes
    by_hand = {
        stage: np.mean(
            [
                getattr(one, run).mean(axis=1)
                for one in found
                for run in (stage, f"{stage}_again")
            ],
            axis=0,
        )
        for stage in ("a", "b")
    }
    for stage, name in zip(("a", "b"), NAMES, strict=True):
        line = labelled(axes, name)
        np.testing.assert_allclose(line.get_ydata(), by_hand[stage])
        np.testing.assert_allclose(line.get_xdata(), 50 * np.arange(1, 7))
    assert legend(axes) == ["noise floor (95 %)", "lif", "fixed"]
    assert axes.get_title(loc="left") == "2 networks"


def test_the_floor_holds_a_stage_that_does_not_differ(axes):
    """Of many comparisons of equal stages, 95 % of b lie in the band around a."""
    inside = []
    for seed in range(60):
        one = Figure().subplots()
        draw.mean_curves(one, curves(networks=4, seed=seed), bin_width=0.05)
        band = one.collections[0].get_paths()[0].vertices[:, 1]
        half = (band[1:].max() - band[1:].min()) - np.ptp(
            labelled(one, "a").get_ydata()
        )
        gap = labelled(one, "b").get_ydata() - labelled(one, "a").get_ydata()
        inside += list(np.abs(gap) <= half / 2)
    assert 0.90 < np.mean(inside) < 0.99


def test_mean_curves_of_nothing(axes):
    draw.mean_curves(axes, [], bin_width=0.05)
    assert said(axes) == ["no network to show"]
    gap = {run: np.full((6, 2), np.nan) for run in ("a", "a_again", "b", "b_again")}
    draw.mean_curves(axes, [Curves(name="x", **gap)], bin_width=0.05)
    assert said(axes)[1:] == ["no neuron has an autocorrelation in all runs"]


def test_forest_has_a_row_for_every_network_and_one_for_all(axes):
    pairs = [*several(5, 60, shift=0.1), pair(9, 4, name="small $net$")]
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    assert draw.forest(axes, found, names=NAMES) is axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [
        *(f"net {k} (60)" for k in range(5)), r"small \$net\$ (no say)", "all",
    ]  # fmt: skip
    marks = [line for line in axes.get_lines() if line.get_marker() in ("o", "D")]
    ratios = [line.get_xdata()[0] for line in marks]
    means = [
        np.exp(np.mean([np.log(one.b.tau), np.log(one.b_again.tau)])
               - np.mean([np.log(one.a.tau), np.log(one.a_again.tau)]))
        for one in pairs[:5]
    ]  # fmt: skip
    np.testing.assert_allclose(ratios[:5], means)
    assert ratios[5] == pytest.approx(stats.gmean(means))
    heights = [line.get_ydata()[0] for line in marks]
    np.testing.assert_allclose(heights, axes.get_yticks()[[0, 1, 2, 3, 4, 6]])
    wide, strict = axes.patches
    assert wide.get_x() == pytest.approx(0.8) and strict.get_x() == pytest.approx(
        1 / 1.1
    )
    assert wide.get_x() + wide.get_width() == pytest.approx(1.25)
    assert legend(axes) == ["× or ÷ 1.25", "× or ÷ 1.1"]
    assert axes.get_title(loc="left") == f"ml: {found.verdict.value} ({found.scope})"
    bars = [line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) == 2]
    shift = found.endpoints[0].estimate
    np.testing.assert_allclose(bars[-1], np.exp([shift.low, shift.high]))
    assert axes.get_xlabel() == "τ fixed / τ lif, mean ratio and 90% interval"


def test_forest_of_wide_intervals_has_arrows(axes):
    found = compare_spikes(
        [pair(k, 12, noise=6.0) for k in range(2)], CONFIG, rng=np.random.default_rng(0)
    )
    draw.forest(axes, found)
    low, high = axes.get_xlim()
    arrows = [line for line in axes.get_lines() if line.get_marker() in ("<", ">")]
    assert arrows
    for arrow in arrows:
        end = low if arrow.get_marker() == "<" else high
        assert arrow.get_xdata()[0] == pytest.approx(end)


def test_forest_of_forty_networks_has_smaller_letters(axes):
    few = compare_spikes(several(3, 20), CONFIG, rng=np.random.default_rng(0))
    draw.forest(axes, few)
    large = axes.get_yticklabels()[0].get_fontsize()
    many = [
        pair(k, 20, name=f"a network with a name that is long {k}") for k in range(40)
    ]
    one = Figure(figsize=(4, 3)).subplots()
    draw.forest(one, compare_spikes(many, CONFIG, rng=np.random.default_rng(0)))
    texts = one.get_yticklabels()
    assert 3.5 <= texts[0].get_fontsize() < 0.6 * large
    assert texts[0].get_text() == "a network with …t is long 0 (20)"


def test_forest_without_a_network_that_has_a_say(axes):
    found = compare_spikes([pair(0, 4)], CONFIG, rng=np.random.default_rng(0))
    draw.forest(axes, found)
    assert said(axes) == ["no network has a say"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["net 0 (no say)", "all"]


def test_attrition_counts_who_was_kept_lost_and_gained(axes):
    pairs = [pair(0, 40, gone=10), pair(1, 40)]
    found = compare_spikes(pairs, CONFIG, rng=np.random.default_rng(0))
    assert draw.attrition_bars(axes, found, names=NAMES) is axes
    widths = {
        bar.get_label(): [patch.get_width() for patch in bar] for bar in axes.containers
    }
    assert widths == {
        "kept": [87.5, 100, 87.5],
        "lost: not identifiable": [12.5, 0, 0],
        "neither": [0, 0, 12.5],
    }
    assert [text for text in said(axes) if text] == ["70", "80", "70", "10", "10"]
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    assert ticks == ["lif → fixed", "lif → repeat", "fixed → repeat"]
    (lost,) = (bar for bar in axes.containers if bar.get_label().startswith("lost"))
    colour, _ = LOOKS[Status.NOT_IDENTIFIABLE.value]
    assert to_hex(lost.patches[0].get_facecolor()) == colour.lower()


def test_attrition_has_a_look_for_every_reason():
    reasons = {f"lost: {status.value}" for status in Status if status is not Status.OK}
    assert set(draw.FATES) == {"kept", "gained", "neither"} | reasons
    assert len(set(draw.FATES.values())) == len(draw.FATES)
