"""Pictures of timescales; what pictures of comparisons share with them is here too."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation
from scipy.stats import t as student

from isotau.convert.ground import validation
from isotau.sim.plot.draw import GREY, PALE, STAGE_COLOURS
from isotau.sim.timescales.estimators.ml import Profiles
from isotau.sim.timescales.estimators.population import PopulationTimescale
from isotau.sim.timescales.records.record import Status, Timescales

BLUE, ORANGE, GREEN, PINK, SKY, RED = STAGE_COLOURS
LEGEND: Any = {"fontsize": 8, "frameon": False}
TITLE: Any = {"fontsize": 8, "loc": "left"}
ZERO: Any = {"color": GREY, "lw": 0.8, "ls": ":", "zorder": 1}
LOOKS = {
    Status.OK.value: (BLUE, ""),
    Status.NOT_IDENTIFIABLE.value: (ORANGE, ""),
    Status.TOO_FEW_SPIKES.value: ("#BDBDBD", ""),
    Status.AT_BOUND.value: (SKY, "////"),
    Status.NO_DECAY.value: (RED, ""),
    Status.TOO_LONG.value: (GREEN, "\\\\\\\\"),
    Status.LATE_PEAK.value: (PINK, ""),
    Status.NEGATIVE_AMPLITUDE.value: (PINK, "////"),
    Status.UNDEFINED.value: (GREY, "...."),
    Status.FIT_FAILED.value: ("black", ""),
}
"""Colour and hatching of every status."""
WITHIN = 0.25
"""Of the truth, by which published benchmarks judge estimates."""
GROUPS = 10
"""True timescales that a calibration shows apart."""
SHOWN = 200
"""Neurons whose autocorrelations a picture has room for."""


def calibration(
    axes: Axes,
    true_taus: Float64[np.ndarray, " n"],
    timescales: Mapping[str, Timescales | Float64[np.ndarray, " n"]],
) -> Axes:
    """Draw estimates against the truth: median and quartiles by estimator.

    Of identified neurons of equal truth; of more than ten truths, of tenths of them.
    Shares are of all neurons: one without a timescale is not within 25 %.

    Args:
        axes: where to.
        true_taus: in seconds, of neurons with the rates and trials in question.
        timescales: by name of the estimator; or its τ, in seconds, NaN where none.
    """
    n = np.size(true_taus)
    truth = validation.floats("true_taus", true_taus, (n,), "neuron", positive=True)
    groups = _alike(truth)
    at = np.array([1e3 * np.median(truth[group]) for group in groups])
    apart = np.diff(np.log(at)).min(initial=0.2) / max(2, 2 * len(timescales))
    reach = [*at]
    for k, (name, found) in enumerate(timescales.items()):
        tau = np.asarray(found.tau if isinstance(found, Timescales) else found)
        if tau.shape != (n,):
            raise ValueError(
                f"timescales[{name!r}]: got shape {tau.shape}, need {(n,)} as true_taus"
            )
        quartiles = np.array([_quartiles(1e3 * tau[group]) for group in groups])
        low, middle, high = quartiles.reshape(-1, 3).T
        x = at * np.exp(apart * (k - (len(timescales) - 1) / 2))
        colour = STAGE_COLOURS[k % len(STAGE_COLOURS)]
        axes.vlines(x, low, high, colors=colour, linewidths=1.4)
        near = np.sum(np.abs(tau / truth - 1) <= WITHIN) / max(n, 1)
        has = np.isfinite(tau).sum() / max(n, 1)
        label = f"{plain(name)}: {has:.0%} identified, {near:.0%} within ±{WITHIN:.0%}"
        look: Any = {"color": colour, "lw": 1.2, "ms": 5, "mec": "white", "mew": 0.5}
        axes.plot(x, middle, marker="osD^vP"[k % 6], **look, label=label)
        reach += [y for y in (*low, *high) if np.isfinite(y)]
    identity(axes, limits(reach), (1 - WITHIN, 1 + WITHIN), f"±{WITHIN:.0%}")
    axes.set(xlabel="true τ (ms)", ylabel="estimated τ (ms), median and quartiles")
    legend_below(axes, 1)
    if not n or not timescales:
        say(axes, "no neuron to show" if timescales else "no estimator to show")
    return axes


def autocorrelations(
    axes: Axes,
    rho: Float64[np.ndarray, "lags n"],
    bin_width: float,
    *,
    fit: PopulationTimescale | None = None,
) -> Axes:
    """Draw the autocorrelation of every neuron, their mean, and a fit to it.

    Args:
        axes: where to.
        rho: at lags of 1, 2, … bins; NaN where a neuron has none. Of more than 200
            neurons as many are drawn, evenly chosen; the mean is of all.
        bin_width: in seconds.
        fit: of the population.
    """
    if np.ndim(rho) != 2:
        raise ValueError(f"rho: got shape {np.shape(rho)}, need lag × neuron")
    lags, known = len(rho), np.isfinite(rho)
    time = 1e3 * bin_width * np.arange(1, lags + 1)
    some = np.flatnonzero(known.any(axis=0))
    every = -(-some.size // SHOWN) or 1
    curves = [np.stack([time, rho[:, k]], axis=1) for k in some[::every]]
    thin: Any = {"colors": GREY, "linewidths": 0.5, "alpha": 0.25}
    axes.add_collection(LineCollection(curves, **thin))
    axes.axhline(0, **ZERO)
    axes.set(xlabel="lag (ms)", ylabel="autocorrelation")
    axes.set_xlim(0, 1e3 * bin_width * (lags + 0.5))
    if not some.size:
        say(axes, "no neuron has an autocorrelation")
        return axes
    many, total = known.sum(axis=1), np.where(known, rho, 0.0).sum(axis=1)
    mean = np.divide(total, many, out=np.full(lags, np.nan), where=many > 0)
    label = f"mean of {some.size} neurons"
    axes.plot(time, mean, "o-", color="black", lw=2, ms=4, label=label)
    if fit is not None and np.isfinite([fit.estimate, fit.amplitude]).all():
        fine = np.linspace(fit.bin_width, lags * bin_width, 200)
        curve = fit.amplitude * np.exp(-fine / fit.estimate) + _end(fit)
        look: Any = {"color": RED, "lw": 1.8, "ls": "--", "zorder": 4}
        axes.plot(1e3 * fine, curve, **look, label=f"fit: {_told(fit)}")
    low, high = np.nanquantile(rho[:, some], [0.01, 0.99])
    low, high = min(low, 0, np.nanmin(mean)), max(high, np.nanmax(mean), low + 1e-3)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    legend_below(axes)
    return axes


def profile(
    axes: Axes, profiles: Profiles, k: int, *, timescales: Timescales | None = None
) -> Axes:
    """Draw the likelihood of neuron k's log τ, and what `ml` read from it, if given."""
    k = validation.whole("k", k, 0, len(profiles.log_likelihood) - 1)
    tau, curve = 1e3 * profiles.taus, np.exp(profiles.log_likelihood[k])
    log_scale(axes, "x", float(tau[0]), float(tau[-1]))
    axes.set(xlabel="timescale τ (ms)", ylabel="likelihood (highest 1)", ylim=(0, 1.08))
    status = f", {timescales.status[k].value}" if timescales else ""
    axes.set_title(f"neuron {k}{status}", **TITLE)
    if not np.isfinite(curve).any():
        say(axes, "no likelihood: nothing could be fitted")
        return axes
    axes.fill_between(tau, 0, curve, color=BLUE, alpha=0.12, lw=0)
    axes.plot(tau, curve, color=BLUE, lw=1.6)
    if timescales is None:
        return axes
    best, low, high = (
        1e3 * getattr(timescales, name)[k] for name in ("estimate", "low", "high")
    )
    freedom = max(float(profiles.freedom[k]), 1.0)
    limit = np.exp(-0.5 * student.ppf(0.5 + 0.5 * timescales.level, freedom) ** 2)
    reach = f"{low:.0f} to {high:.0f} ms" if high < np.inf else f"from {low:.0f} ms"
    label = f"{timescales.level:.0%} interval: {reach}"
    ends = np.clip([low, high], tau[0], tau[-1])
    axes.plot(ends, [limit, limit], color="black", lw=2.2, label=label)
    axes.axvline(best, color=RED, ls="--", lw=1.4, label=f"estimate: {best:.0f} ms")
    legend_below(axes)
    return axes


def identified(axes: Axes, timescales: Mapping[str, Timescales]) -> Axes:
    """Draw what became of the neurons of every stage, as stacked bars of statuses."""
    rows = {
        f"{plain(name)}\nn = {found.n}": {
            status.value: found.status.count(status) for status in Status
        }
        for name, found in timescales.items()
    }
    return stacked_bars(axes, rows, LOOKS)


def stacked_bars(
    axes: Axes,
    rows: Mapping[str, Mapping[str, int]],
    looks: Mapping[str, tuple[str, str]],
) -> Axes:
    """Draw a bar for each row, the first on top, of shares that add to 100 %.

    Args:
        axes: where to.
        rows: neurons by what they are, of each row.
        looks: colour and hatching of what they are, in the order of the segments.
    """
    used = [what for what in looks if any(row.get(what) for row in rows.values())]
    sums = np.array([max(sum(row.values()), 1) for row in rows.values()])
    left = np.zeros(len(rows))
    for what in used:
        colour, hatch = looks[what]
        counts = np.array([row.get(what, 0) for row in rows.values()])
        share = 100 * counts / sums
        look: Any = {"color": colour, "hatch": hatch, "edgecolor": "white", "lw": 0.6}
        bars = axes.barh(range(len(rows)), share, 0.62, left, **look, label=what)
        said = [f"{counts[k]}" if share[k] > 5 else "" for k in range(len(rows))]
        dark = np.dot(to_rgb(colour), (0.3, 0.59, 0.11)) < 0.55
        box: Any = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
        for text in axes.bar_label(bars, said, label_type="center", fontsize=8):
            text.set(color="white" if dark else "black", bbox=box)
        left = left + share
    axes.set(xlim=(0, 100), xlabel="share of neurons (%)")
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    legend_below(axes)
    if not used:
        say(axes, "no neuron to show")
    return axes


def identity(
    axes: Axes, ends: tuple[float, float], factors: tuple[float, float], name: str
) -> None:
    """Draw x = y and a band between two multiples of x, on axes of τ in ms."""
    line = np.array(ends)
    edges = factors[0] * line, factors[1] * line
    axes.fill_between(line, *edges, color=PALE, lw=0, zorder=0, label=name)
    axes.plot(line, line, color=GREY, lw=1, zorder=1, label="identity")
    for which in ("x", "y"):
        log_scale(axes, which, *ends)


def log_scale(
    axes: Axes, which: str, low: float, high: float, ticks: Sequence[float] = ()
) -> None:
    """Give the axis x or y a logarithmic scale with few ticks, written in full."""
    tens = 10.0 ** np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        every = ticks or np.sort(np.outer(tens, steps).ravel())
        shown = [float(tick) for tick in every if low <= tick <= high]
        if len(shown) <= 8:
            break
    getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, high)
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(shown))
    axis.set_major_formatter(FixedFormatter([f"{tick:.10g}" for tick in shown]))
    axis.set_minor_locator(NullLocator())


def limits(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis around τ in ms; 5 to 500 if there is none."""
    if not len(values):
        return 5.0, 500.0
    low, high = float(np.min(values)) / 1.3, float(np.max(values)) * 1.3
    middle = np.sqrt(low * high)
    return min(low, middle / 2.5), max(high, middle * 2.5)


def legend_below(axes: Axes, columns: int = 2) -> None:
    """Give axes a legend below their label, whatever their height, if it has lines."""
    down = ScaledTranslation(0, -0.47, axes.figure.dpi_scale_trans)
    place: Any = {"bbox_to_anchor": (0.5, 0), "bbox_transform": axes.transAxes + down}
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", ncols=columns, **place, **LEGEND)


def say(axes: Axes, text: str) -> None:
    """Write in the middle of axes why there is nothing in them."""
    place: Any = {"xycoords": "axes fraction", "ha": "center", "va": "center"}
    axes.annotate(text, (0.5, 0.5), color=GREY, bbox={"color": "white"}, **place)


def plain(name: str) -> str:
    """Return a name as matplotlib shows it letter by letter."""
    return name.replace("$", r"\$")


def _alike(truth: Float64[np.ndarray, " n"]) -> list[np.ndarray]:
    """Return the places of neurons of equal truth, or of nearly so."""
    values, which = np.unique(truth, return_inverse=True)
    if values.size > GROUPS:
        return np.array_split(np.argsort(truth, kind="stable"), GROUPS)
    return [np.flatnonzero(which == k) for k in range(values.size)]


def _quartiles(values: np.ndarray) -> np.ndarray:
    values = values[np.isfinite(values)]
    return np.quantile(values, [0.25, 0.5, 0.75]) if values.size else np.full(3, np.nan)


def _end(fit: PopulationTimescale) -> float:
    """Return what a fitted decay ends at; the published fit's B multiplies A."""
    offset = 0.0 if np.isnan(fit.offset) else fit.offset
    return fit.amplitude * offset if fit.method == "kim" else offset


def _told(fit: PopulationTimescale) -> str:
    """Return τ of a fit with its interval, and its status if it is not believed."""
    text = f"τ = {1e3 * fit.estimate:.0f} ms"
    if np.isfinite(fit.low):
        high = f"{1e3 * fit.high:.0f}" if np.isfinite(fit.high) else "∞"
        text += f" ({1e3 * fit.low:.0f} to {high})"
    return text if fit.status is Status.OK else f"{text}, {fit.status.value}"
