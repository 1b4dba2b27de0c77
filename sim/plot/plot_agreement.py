"""Pictures of two stages neuron by neuron, on the axes that are given.

A dot is a neuron in the first runs of its network; lines and limits are means over the
pairings of runs and repeats, as in `Preservation`.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from isotau.convert.ground import validation
from isotau.sim.plot import on_axes
from isotau.sim.plot.on_axes import (
    BLUE,
    LEGEND,
    PALE,
    RED,
    TAU_EDGES,
    TITLE,
    ZERO,
    minus,
)
from isotau.sim.preservation import agreement, pairings
from isotau.sim.preservation.bootstrap import totals
from isotau.sim.preservation.config import PreservationConfig
from isotau.sim.preservation.pair import Pair, log_ratios

Names = tuple[str, str]
MARGIN = PreservationConfig().shift_margin
BAND: Any = {"color": PALE, "lw": 0, "zorder": 0}
LINE: Any = {"color": RED, "lw": 1.8, "zorder": 3}
NOBODY = "no neuron has a timescale in both"
COVARIATES = {"rate": "firing rate at stage {} (Hz)", "tau_syn": "synaptic τ (ms)"}
RATIOS = {
    2.2: (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0),
    6.0: (0.2, 0.33, 0.5, 0.8, 1.0, 1.25, 2.0, 3.0, 5.0),
    40.0: (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
    np.inf: tuple(10.0**k for k in range(-9, 10)),
}
"""Ticks of ratios less than so much."""
WINDOW, FEWEST = 12, 15
"""A running median is over one in 12 neurons, or over 15 if those are more."""


def tau_scatter(
    axes: Axes, pairs: Sequence[Pair], *, names: Names, margin: float = MARGIN
) -> Axes:
    """Draw τ of every neuron at stage b against stage a, and Deming's line.

    The title has the correlation within networks; the band is the margin of a shift,
    in log.
    """
    a, b = _both(pairs)
    numbers = _numbers(pairs)
    _identity(axes, [*a, *b], margin)
    axes.scatter(a, b, **_dots(a.size))
    slope, start = numbers["deming_slope"], numbers["deming_intercept"]
    if np.isfinite([slope, start]).all():
        x = np.array([a.min(), a.max()])
        # The line is one of logs of seconds, the axes are milliseconds.
        line = 1e3 * np.exp(start) * (x / 1e3) ** slope
        axes.plot(x, line, ls="--", **LINE, label=f"Deming, {_signed(slope)}")
    title = f"{a.size} of {counted(sum(pair.n for pair in pairs), 'neuron')} in both"
    words = {"correlation": ", r = ", "disattenuated": ", without noise "}
    for name, what in words.items():
        if np.isfinite(numbers[name]):
            title += minus(f"{what}{numbers[name]:.2f}")
    axes.set_title(title, **TITLE)
    axes.set(xlabel=f"τ {names[0]} (ms)", ylabel=f"τ {names[1]} (ms)", aspect="equal")
    axes.legend(loc="upper left", **LEGEND)
    return unless(axes, a.size)


def bland_altman(axes: Axes, pairs: Sequence[Pair], *, names: Names) -> Axes:
    """Draw the ratio of τ of b to a against their geometric mean, and its limits.

    95 % of ratios lie between the limits; between the floor's, were b a repeat of a.
    """
    a, b = _both(pairs)
    numbers = _numbers(pairs)
    # Never so near that noise fills the picture.
    reach = 1.1 * max([np.log(1.5), *np.abs(np.log(b / a))])
    axes.axhline(1, **ZERO)
    axes.scatter(np.sqrt(a * b), b / a, **_dots(a.size))
    # The floor first: it lies behind the limits.
    for floor in ("_floor", ""):
        logs = [numbers[f"limit_{end}{floor}"] for end in ("low", "high")]
        if not np.isfinite(logs).all():
            continue
        reach = max(reach, 1.1 * np.abs(logs).max())
        low, high = np.exp(logs)
        if floor:
            axes.axhspan(low, high, **BAND, label=f"floor: {low:.2f} to {high:.2f}")
            continue
        middle = float(np.sqrt(low * high))
        axes.axhline(middle, **LINE, label=f"mean ratio: {middle:.2f}")
        for end, label in ((low, f"95 % limits: {low:.2f} to {high:.2f}"), (high, "")):
            axes.axhline(end, ls="--", **LINE, label=label)
    on_axes.log_scale(axes, "x", *on_axes.limits(np.sqrt(a * b)))
    ratio_scale(axes, "y", reach)
    axes.set(xlabel="geometric mean of τ (ms)", ylabel=f"τ {names[1]} / τ {names[0]}")
    on_axes.legend_below(axes)
    return unless(axes, a.size)


def tau_distributions(axes: Axes, pairs: Sequence[Pair], *, names: Names) -> Axes:
    """Draw how τ are distributed at both stages, whichever neuron has which.

    In the bins of Kim & Sejnowski 2021 (doi:10.1038/s41593-020-00753-w), 5 to 501 ms in
    steps of 0.1 in log₁₀, and as many more as there are τ for; with the medians.
    """
    taus = _taus(pairs, "a"), _taus(pairs, "b")
    # Rounded, so that the published edges fall on whole bins.
    every = np.concatenate([*taus, TAU_EDGES[[0, -1]]])
    bins = np.round(10 * np.log10(every) - 7, 9)
    edges = 10 ** (0.7 + 0.1 * np.arange(np.floor(bins.min()), bins.max() + 1))
    looks: Any = {"fill": True, "color": BLUE, "alpha": 0.4}, {"color": RED, "lw": 1.6}
    for tau, name, look, dash in zip(taus, names, looks, ("-", "--"), strict=True):
        label = f"{name}: n = {tau.size}"
        if tau.size:
            label += f", median {np.median(tau):.0f} ms"
            axes.axvline(float(np.median(tau)), color=look["color"], lw=1.4, ls=dash)
        axes.stairs(np.histogram(tau, edges)[0], edges, **look, label=label)
    on_axes.log_scale(axes, "x", edges[0] / 1.03, edges[-1] * 1.03)
    axes.set(xlabel="timescale τ (ms)", ylabel="neurons")
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    on_axes.legend_below(axes)
    return unless(axes, sum(tau.size for tau in taus), "no neuron has a timescale")


def tau_quantiles(
    axes: Axes, pairs: Sequence[Pair], *, names: Names, margin: float = MARGIN
) -> Axes:
    """Draw quantiles of τ at stage b against those at stage a, and the quartiles.

    The band is the margin of a shift, in log.
    """
    a, b = _taus(pairs, "a"), _taus(pairs, "b")
    # No more quantiles than the smaller sample has numbers.
    few = min(a.size, b.size, 100)
    _identity(axes, [*a, *b], margin)
    if few:
        places = (np.arange(few) + 0.5) / few
        dots: Any = {"marker": "o", "ls": "", "color": BLUE, "mfc": "white", "ms": 4}
        axes.plot(np.quantile(a, places), np.quantile(b, places), **dots)
        quarters = np.quantile(a, [0.25, 0.5, 0.75]), np.quantile(b, [0.25, 0.5, 0.75])
        axes.plot(*quarters, "D", color=RED, ms=6, label="quartiles")
    axes.set(xlabel=f"quantiles of τ {names[0]} (ms)", aspect="equal")
    axes.set_ylabel(f"quantiles of τ {names[1]} (ms)")
    axes.legend(loc="upper left", **LEGEND)
    return unless(axes, few, "a stage has no timescales")


def ratio_against(
    axes: Axes, pairs: Sequence[Pair], *, by: str, names: Names = ("stage a", "stage b")
) -> Axes:
    """Draw the ratio of τ of b to a against each neuron's rate or τ_syn.

    With a running median, and the line with the slope of the log ratio on the log of
    `by` within networks; `Preservation.covariates` has slopes with intervals.

    Args:
        axes: where to.
        pairs: of the networks.
        by: "rate" or "tau_syn"; networks and neurons without it are left out.
        names: of stages a and b.
    """
    label = COVARIATES[validation.choice("by", by, list(COVARIATES))]
    axes.set_xlabel(label.format(names[0]))
    axes.set_ylabel(f"τ {names[1]} / τ {names[0]}")
    tables = [_covariate(pair, by) for pair in pairs]
    x, d = np.concatenate([np.zeros((2, 0)), *tables], axis=1)
    axes.axhline(1, **ZERO)
    axes.scatter(np.exp(x), np.exp(d), **_dots(x.size))
    # Windows overlap by three quarters, so that the median runs smoothly.
    order, wide = np.argsort(x, kind="stable"), max(FEWEST, x.size // WINDOW)
    if x.size and np.ptp(x) > 1e-9:
        starts = range(0, x.size - wide + 1, max(1, wide // 4))
        windows = [order[start : start + wide] for start in starts]
        middle = np.exp([[np.median(x[w]), np.median(d[w])] for w in windows])
        if len(windows) > 1:
            axes.plot(*middle.T, color="black", lw=1.8, label="running median")
        # About each network's mean: networks that differ in both make no slope.
        centred = [t - t.mean(axis=1, keepdims=True) for t in tables if t.size]
        u, v = np.concatenate(centred, axis=1)
        slope = float(u @ v / (u @ u)) if u.any() else np.nan
        ends = np.array([x.min(), x.max()])
        line = np.exp(d.mean() + slope * (ends - x.mean()))
        if np.isfinite(slope):
            axes.plot(np.exp(ends), line, ls="--", **LINE, label=_signed(slope))
        on_axes.legend_below(axes)
    ratio_scale(axes, "y", 1.1 * max([np.log(1.5), *np.abs(d)]))
    on_axes.log_scale(axes, "x", *on_axes.limits(np.exp(x)))
    return unless(axes, x.size, f"{NOBODY} and a {by}")


def _taus(pairs: Sequence[Pair], stage: str) -> Float64[np.ndarray, " found"]:
    """Return all τ of the first runs at a stage, in ms."""
    every = np.concatenate([np.zeros(0), *(getattr(p, stage).tau for p in pairs)])
    return 1e3 * every[np.isfinite(every)]


def _both(pairs: Sequence[Pair]) -> Float64[np.ndarray, "2 found"]:
    """Return τ at a and b of the neurons that have both, in ms."""
    every = [np.zeros((2, 0)), *(np.stack([p.a.tau, p.b.tau]) for p in pairs)]
    taus = np.concatenate(every, axis=1)
    return 1e3 * taus[:, np.isfinite(taus).all(axis=0)]


def _numbers(pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the numbers of agreement of all networks; NaN for no network."""
    # Pictures of nothing are drawn too, and say so.
    if not pairs:
        return defaultdict(lambda: np.nan)
    sums = totals(pairings.levels(pairs))
    numbers = agreement.numbers(sums[None])
    return {name: float(value[0]) for name, value in numbers.items()}


def _identity(axes: Axes, taus: Sequence[float], margin: float) -> None:
    """Draw x = y and the margin of a shift around it."""
    factors = float(np.exp(-margin)), float(np.exp(margin))
    on_axes.identity(axes, on_axes.limits(taus), factors, margin_name(margin))


def _covariate(pair: Pair, by: str) -> Float64[np.ndarray, "2 found"]:
    """Return the log of a covariate and the log ratio of neurons that have both."""
    values = pair.a.rate if by == "rate" else pair.tau_syn
    if values is None:
        return np.zeros((2, 0))
    values = values if by == "rate" else 1e3 * values
    # A rate of 0 has no log, and no place on the axis.
    logs = np.log(np.where(values > 0, values, np.nan))
    table = np.stack([logs, log_ratios(pair)])
    return table[:, np.isfinite(table).all(axis=0)]


def ratio_scale(axes: Axes, which: str, reach: float) -> None:
    """Give the axis x or y a scale of ratios, ± `reach` in log around 1."""
    # Around 1 the same distance up and down: a half and a double look alike.
    most = np.exp(reach)
    ticks = next(ticks for largest, ticks in RATIOS.items() if most < largest)
    on_axes.log_scale(axes, which, 1 / most, most, ticks)


def _dots(count: int) -> dict[str, Any]:
    """Return the look of so many dots: the more, the smaller and fainter."""
    # Of four times as many dots each has half the area and is half as opaque.
    size, alpha = np.clip(
        [400 / max(count, 1) ** 0.5, 12 / max(count, 1) ** 0.5], [5, 0.15], [22, 0.7]
    )
    return {"s": size, "alpha": alpha, "color": BLUE, "lw": 0, "zorder": 2}


def _signed(slope: float) -> str:
    return minus(f"slope {slope:.2f}")


def margin_name(margin: float) -> str:
    """Return what a margin of logs is for ratios."""
    return f"× or ÷ {np.exp(margin):.3g}"


def counted(count: int, what: str) -> str:
    """Return "1 network", "2 networks"."""
    return f"{count} {what}{'s' * (count != 1)}"


def unless(axes: Axes, count: int, text: str = NOBODY) -> Axes:
    """Return the axes, and say in them why they are empty if they are."""
    if not count:
        on_axes.say(axes, text)
    return axes
