"""Are the stages as fast as they were? Ratios to plain numpy in the same process.

    python -m benchmarks.chain.ratios

Times differ between machines and hours; how many times faster than a plain loop a stage
is differs much less. Prints a line per stage with the ratio of docs/results/chain.json
beside it, in less than a minute, and judges nothing: `.ci/run` shows it to be read.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.chain.plain_loops import (
    plain_lif,
    plain_rate,
    unpacked_counts,
    yardstick,
)
from benchmarks.command import command_parser
from benchmarks.page import MISSING, MarkdownTable, plain_table, three_digits
from benchmarks.repository import NETWORKS, RESULTS
from benchmarks.results import read_figures
from isotau.convert.neuron import fi_curve
from isotau.convert.neuron.lif_constants import PUBLISHED
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, count, pack
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import simulate_rate
from isotau.convert.to_fixed.quantize import messages, quantize
from isotau.convert.to_lif.search_lambda import rate_to_lif
from isotau.sim.engines import compiled, reference
from isotau.sim.timescales.estimators.kim import kim
from isotau.sim.timescales.estimators.ml import ml

STEPS, BATCH, REPEATS = 100, 50, 3


class StageRatio(NamedTuple):
    """A stage beside a plain way to do the same, or beside a yardstick.

    Attributes:
        stage: what is timed.
        beside: what it is held against.
        ours_ms: median of ours.
        plain_ms: median of the other.
    """

    stage: str
    beside: str
    ours_ms: float
    plain_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long the plain way takes."""
        return self.plain_ms / self.ours_ms


def main() -> None:
    """Measure and print."""
    command_parser("benchmarks.chain.ratios", __doc__).parse_args()
    then: Mapping[str, float] = {}
    if (RESULTS / "chain.json").exists():
        then = read_figures(RESULTS / "chain.json").get("ratios", {})
    rows = [
        [
            row.stage,
            row.beside,
            three_digits(row.ours_ms),
            three_digits(row.plain_ms),
            f"{three_digits(row.ratio)}×",
            f"{three_digits(then[row.stage])}×" if row.stage in then else MISSING,
        ]
        for row in stage_ratios()
    ]
    head = ["stage", "beside", "ours, ms", "plain, ms", "ratio", "recorded"]
    sys.stdout.write(plain_table(MarkdownTable(head, rows)) + "\n")


def stage_ratios() -> list[StageRatio]:
    """Return every stage's ratio, by one thread."""
    rate = read_rate(NETWORKS / "go_nogo_N200.mat").net
    # One thread: a second core is not always there for both.
    with threadpool_limits(1):
        return [*_simulations(rate), *_estimates()]


def _simulations(rate: RateRNN) -> list[StageRatio]:
    """Return what simulates networks beside plain loops."""
    rng = np.random.default_rng(0)
    lif = rate_to_lif(rate, inverse_lambda=30.0)
    inputs = (rng.random((STEPS, BATCH, lif.n_in)) < 0.2).astype(np.float64)
    run = simulate_lif(lif, inputs, seed=1)
    fixed = quantize(lif, run.ranges, input_peak=1.0)
    sent = messages(fixed, inputs)
    return [
        compared(
            "chip, compiled engine",
            "reference engine",
            lambda: compiled.run(fixed, sent, seed=1, threads=1),
            lambda: reference.run(fixed, sent, seed=1),
        ),
        compared(
            "LIF stage, with noise",
            "numpy loop",
            lambda: simulate_lif(lif, inputs, seed=1, threads=1),
            lambda: plain_lif(lif, inputs, np.random.default_rng(1)),
        ),
        compared(
            "rate stage, with noise",
            "numpy loop",
            lambda: simulate_rate(rate, inputs, seed=1, threads=1),
            lambda: plain_rate(rate, inputs, np.random.default_rng(1)),
        ),
    ]


def _estimates() -> list[StageRatio]:
    """Return what measures spikes beside plain ways and a yardstick."""
    raster = np.random.default_rng(1).random((1000, 40, 50)) < 0.02
    spikes = Spikes(bits=pack(raster), n=50, dt=1e-3, engine="recorded")

    def curve() -> None:
        fi_curve._rates.cache_clear()
        fi_curve.curve.cache_clear()
        fi_curve.curve(PUBLISHED)

    return [
        compared(
            "binning",
            "unpacked sums",
            lambda: count(spikes, width=25),
            lambda: unpacked_counts(spikes, 25),
        ),
        compared("f–I curve", "yardstick", curve, yardstick),
        compared("ml, 50 neurons", "yardstick", lambda: ml(spikes), yardstick),
        compared("kim, 50 neurons", "yardstick", lambda: kim(spikes), yardstick),
    ]


def compared(
    stage: str, beside: str, ours: Callable[[], Any], plain: Callable[[], Any]
) -> StageRatio:
    """Return medians of both, in turns, after one turn that does not count."""
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for turn in range(REPEATS + 1):
        for name, work in (("ours", ours), ("plain", plain)):
            # Time of the processor: who else uses the machine does not matter.
            start = time.process_time()
            work()
            if turn:
                times[name].append(1e3 * (time.process_time() - start))
    return StageRatio(stage, beside, *(statistics.median(t) for t in times.values()))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
