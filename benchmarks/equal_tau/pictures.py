"""Draws what docs/equal-tau.md shows: one network with its noise dropped and carried.

    python -m benchmarks.equal_tau.pictures             measure and draw, minutes
    python -m benchmarks.equal_tau.pictures --render    draw again, from the .json alone

The network is the Go-NoGo network in examples/data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from threadpoolctl import threadpool_limits

from benchmarks.command import command_parser
from benchmarks.equal_tau.figures import StateRun, compare_moments
from benchmarks.equal_tau.measure import QUICK, Sizes, StageRuns, run_stages
from benchmarks.equal_tau.states import rest
from benchmarks.provenance import provenance
from benchmarks.repository import NETWORKS, RESULTS, ROOT
from benchmarks.results import read_figures, write_figures
from isotau.convert.read.read_rate import read_rate
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.jobs.pipeline import convert_for
from isotau.jobs.run_config import RunConfig
from isotau.sim.plot.draw import picture
from isotau.sim.plot.on_axes import (
    BLUE,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    TITLE,
    ZERO,
    identity,
    limits,
    log_scale,
)

NETWORK, TASK = "go_nogo_N200.mat", "go-nogo"
SEED = 0
CURVES = (0.02, 0.35, 0.65, 0.98)
"""Units whose curves are drawn, by where their time constant stands among all."""
DROPPED = "noise dropped"
CASES: dict[str, dict[str, Any]] = {
    DROPPED: {"calibration": CalibrateConfig(current_noise=0.0)},
    "1": {"copies": 1},
    "2": {"copies": 2},
    "4": {"copies": 4},
}
"""Conversions: without the rate network's noise, and with it at so many copies."""
STAGES = {"rate": GREY, "lif": BLUE, "fixed": GREEN}
NAMES = {"rate": "rate", "lif": "LIF", "fixed": "chip"}
LAST = 0.25
"""Seconds of the curves that are drawn."""


def main() -> None:
    """Measure, unless the figures are there to be drawn, and draw."""
    parser = command_parser("benchmarks.equal_tau.pictures", __doc__)
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="too few data to believe")
    parser.add_argument("--page", type=Path, default=RESULTS, help="of the .json")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="of pictures")
    options = parser.parse_args()
    path = options.page / "equal_tau_pictures.json"
    if not options.render:
        write_figures(path, everything(QUICK if options.quick else Sizes()))
    draw(options.out, read_figures(path))


def everything(sizes: Sizes) -> dict[str, Any]:
    """Return τ, SD and autocorrelations of every unit, for each conversion."""
    rate = read_rate(NETWORKS / NETWORK).net
    resting = rest(rate, trials=sizes.trials, settle=sizes.settle, length=sizes.rest)
    # By the time constants themselves: the same units in every conversion.
    order = np.argsort(rate.tau)
    shown = [int(order[round(place * (rate.n - 1))]) for place in CURVES]
    cases = {}
    for name, changes in CASES.items():
        config = RunConfig(task=TASK, seed=SEED, trials=sizes.scored, **changes)
        with threadpool_limits(1):
            converted = convert_for(rate, config)
            stages = run_stages(
                converted, resting, seed=SEED, quiet=True, observed=False
            )
        cases[name] = _figures(stages, shown)
    return {"provenance": provenance("benchmarks.equal_tau.pictures"), "cases": cases}


def _figures(stages: StageRuns, shown: list[int]) -> dict[str, Any]:
    """Return what is drawn of a conversion."""
    first = {name: runs[0] for name, runs in stages.runs.items()}
    lags = round(LAST / first["rate"].dt) + 1
    return {
        "dt": first["rate"].dt,
        "tau_ms": {name: _tau_ms(run) for name, run in first.items()},
        "shown": shown,
        "curves": {
            name: run.moments.autocorrelation[:lags, shown].T.round(4).tolist()
            for name, run in first.items()
        },
        "compared": {
            name: _compared(first["rate"], first[name]) for name in ("lif", "fixed")
        },
        "floor": _compared(*stages.runs["rate"]),
    }


def _compared(first: StateRun, second: StateRun) -> dict[str, Any]:
    return compare_moments(first.moments, second.moments, first.dt)


def _tau_ms(run: StateRun) -> list[float | None]:
    """Return every unit's τ; None where it has none."""
    taus = 1e3 * run.dt * run.moments.tau
    return [round(float(tau), 3) if np.isfinite(tau) else None for tau in taus]


def draw(folder: Path, figures: Mapping[str, Any]) -> None:
    """Draw all pictures into a folder."""
    cases = figures["cases"]
    scatter(folder / "equal-tau-units.png", cases)
    curves(folder / "equal-tau-curves.png", cases)
    copies(folder / "equal-tau-copies.png", cases)


def scatter(path: Path, cases: Mapping[str, Any]) -> None:
    """Draw every unit's τ in the LIF network and on the chip against its own."""
    titles = {
        DROPPED: "noise dropped",
        "1": "noise carried, one neuron per unit",
        "4": "four neurons per unit",
    }
    values = [
        tau
        for name in titles
        for taus in cases[name]["tau_ms"].values()
        for tau in taus
        if tau is not None
    ]
    ends = limits(values)
    with picture(path, 1, len(titles), size=(9.6, 3.6), shared=True) as grid:
        for axes, (name, title) in zip(grid[0], titles.items(), strict=True):
            case = cases[name]
            identity(axes, ends, (0.8, 1.25), "within 25 %")
            for stage, size in (("fixed", 4.5), ("lif", 2.5)):
                axes.plot(
                    *_pairs(case["tau_ms"]["rate"], case["tau_ms"][stage]),
                    ls="",
                    marker="o",
                    ms=size,
                    alpha=0.8,
                    mew=0,
                    color=STAGES[stage],
                    label=NAMES[stage],
                )
            compared = case["compared"]["lif"]
            axes.set_title(
                f"{title}\nLIF / rate: ratio {compared['ratio']:.2f}, "
                f"SD of log {compared['sd_log']:.2f}",
                **TITLE,
            )
            axes.set_xlabel("τ of x, rate network (ms)")
        grid[0][0].set_ylabel("τ of i or u (ms)")
        grid[0][-1].legend(loc="lower right", **LEGEND)


def _pairs(
    a: list[float | None], b: list[float | None]
) -> tuple[list[float], list[float]]:
    both = [
        (x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None
    ]
    return [x for x, _ in both], [y for _, y in both]


def curves(path: Path, cases: Mapping[str, Any]) -> None:
    """Draw the autocorrelations of some units, from fast to slow."""
    carried, dropped = cases["1"], cases[DROPPED]
    lags = 1e3 * carried["dt"] * np.arange(len(carried["curves"]["rate"][0]))
    with picture(path, 1, len(CURVES), size=(9.6, 2.8), shared=True) as grid:
        for k, axes in enumerate(grid[0]):
            for stage, colour in STAGES.items():
                width = 2.6 if stage == "rate" else 1.3
                line = carried["curves"][stage][k]
                axes.plot(lags, line, color=colour, lw=width, label=NAMES[stage])
            axes.plot(
                lags,
                dropped["curves"]["lif"][k],
                color=ORANGE,
                lw=1.3,
                ls="--",
                zorder=1,
                label="LIF, noise dropped",
            )
            unit = carried["shown"][k]
            tau = carried["tau_ms"]["rate"][unit]
            axes.set_title(f"unit {unit}, τ {tau:.0f} ms", **TITLE)
            axes.axhline(0, **ZERO)
            axes.axhline(np.exp(-1), **ZERO)
            axes.set(xlim=(0, 1e3 * LAST), xlabel="lag (ms)")
        grid[0][0].set_ylabel("autocorrelation at rest")
        grid[0][-1].legend(loc="upper right", **LEGEND)


def copies(path: Path, cases: Mapping[str, Any]) -> None:
    """Draw what copies buy: scatter of log τ and difference of autocorrelations."""
    counts = [int(name) for name in cases if name != DROPPED]
    what = {
        "sd_log": "SD of log τ ratio",
        "acf_rms": "rms difference of autocorrelations",
    }
    with picture(path, 1, len(what), size=(6.8, 2.9)) as grid:
        for axes, (key, title) in zip(grid[0], what.items(), strict=True):
            for stage in ("lif", "fixed"):
                values = [cases[str(k)]["compared"][stage][key] for k in counts]
                axes.plot(
                    *(counts, values),
                    marker="o",
                    ms=5,
                    color=STAGES[stage],
                    label=f"{NAMES[stage]} / rate",
                )
            floors = [cases[str(k)]["floor"][key] for k in counts]
            axes.plot(counts, floors, color=GREY, ls=":", label="two rate runs")
            _copies_axis(axes, counts)
            axes.set_title(title, **TITLE)
        grid[0][0].legend(loc="upper right", **LEGEND)


def _copies_axis(axes: Axes, counts: list[int]) -> None:
    log_scale(axes, "x", 0.85 * counts[0], counts[-1] / 0.85, counts)
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
    axes.set_xlabel("neurons per unit")


if __name__ == "__main__":
    main()
