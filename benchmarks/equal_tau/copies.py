"""Does the error go on falling with more copies of a unit, and do copies stay apart?

python -m benchmarks.equal_tau.copies             minutes on two cores
python -m benchmarks.equal_tau.copies --render    the page, from its .json alone

Neurons with equal parameters and equal noise give equal spikes, and more of them no
better answer. So copies are made 1, 2, 4 and 8 for a unit, with the rate network's
noise, without any, and without but with drives that are spread.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.command import add_page_options, command_parser
from benchmarks.page import MarkdownTable, PageSection, made_by, number
from benchmarks.provenance import provenance
from benchmarks.repository import ROOT
from benchmarks.results import write_page, write_results
from isotau.convert.neuron.lif_constants import PUBLISHED, LIFConstants
from isotau.convert.read.read_rate import read_rate
from isotau.convert.records.fixedpoint import FixedPointNetwork
from isotau.convert.records.lif import LIFNetwork
from isotau.convert.records.rate import RateRNN
from isotau.convert.records.spikes import Spikes, unpack
from isotau.convert.records.trials import Trials, refine, with_silence
from isotau.convert.simulate.lif_dynamics import simulate_lif
from isotau.convert.simulate.rate_dynamics import RateRun, simulate_rate
from isotau.convert.simulate.readout import network_outputs
from isotau.convert.to_fixed.prepare import prepare
from isotau.convert.to_fixed.quantize import messages
from isotau.convert.to_lif.calibrate import calibrate
from isotau.convert.to_lif.change_variables import replicate
from isotau.convert.to_lif.teacher import CalibrateConfig
from isotau.sim.engines import compiled
from isotau.sim.tasks import TASKS

COPIES = (1, 2, 4, 8)
NETWORKS = {
    "go_nogo_N200.mat": "go-nogo",
    "dms_750_N200.rate.npz": "dms-750",
}
"""Files in examples/data, and their tasks."""
FIT, TEST = 60, 40
"""Trials."""
BIN = 5e-3
"""Seconds in which spikes are counted to be correlated."""
QUIET = replace(PUBLISHED, noise_std=0.0)
"""Neurons whose membranes have no noise, as calibrated ones have on the chip."""


class Condition(NamedTuple):
    """What may keep copies apart: the rate network's noise, or drives that differ."""

    name: str
    noise: bool
    spread: float | None


CONDITIONS = (
    Condition("noise", True, None),
    Condition("neither", False, 0.0),
    Condition("spread drives", False, None),
)
"""None leaves the spread to the conversion."""


def main() -> None:
    """Measure and write the page."""
    parser = command_parser("benchmarks.equal_tau.copies", __doc__)
    add_page_options(parser)
    parser.add_argument("--copies", type=int, nargs="*", default=COPIES)
    options = parser.parse_args()
    if options.render:
        write_page(options.page, "copies", copies_page)
        return
    rows: list[dict[str, Any]] = []
    for name, task_name in NETWORKS.items():
        net, task = read_rate(ROOT / "examples/data" / name).net, TASKS[task_name]
        fit, test = (
            refine(task.draw(trials, np.random.default_rng(seed)), net.dt)
            for trials, seed in ((FIT, 1), (TEST, 2))
        )
        measured = measure_copies(net, fit, test, copies=options.copies)
        rows += [{"network": task_name} | row for row in measured]
    figures = {
        "rows": rows,
        "trials": {"fit": FIT, "test": TEST},
        "copies": list(options.copies),
    }
    content = {
        "provenance": provenance("benchmarks.equal_tau.copies"),
        "figures": figures,
    }
    write_results(options.page, "copies", content, copies_page)


def measure_copies(
    rate: RateRNN,
    fit: Trials,
    test: Trials,
    *,
    copies: Sequence[int] = COPIES,
    conditions: Sequence[Condition] = CONDITIONS,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield how well a network does with so many copies of each unit, stage by stage.

    Errors are root mean squares against the rate network without noise, of x (the mean
    over copies) and of the outputs, in units of their SD; correlations are of spike
    counts within a trial, between copies of a unit and between units.

    Args:
        rate: the network.
        fit: trials that it is calibrated on.
        test: trials that it is measured on.
        copies: how many.
        conditions: what keeps them apart.
        seed: of all noise.
    """
    reference = simulate_rate(rate, test.inputs, seed=seed, noise=False, keep_x=True)
    for condition in conditions:
        net = rate if condition.noise else replace(rate, noise_std=0.0)
        # The rate network itself: what noise alone takes it away from there.
        run = simulate_rate(net, test.inputs, seed=seed, keep_x=True)
        assert run.x is not None
        floor = _errors(run.x, run.outputs, reference)
        yield {"condition": condition.name, "copies": 1, "stage": "rate"} | floor
        for count in copies:
            made = _calibrated(net, fit, condition, count, seed)
            for stage, figures in _stages(*made, test, reference, count, seed):
                row = {"condition": condition.name, "copies": count, "stage": stage}
                yield row | figures


def _calibrated(
    net: RateRNN, fit: Trials, condition: Condition, copies: int, seed: int
) -> tuple[LIFNetwork, FixedPointNetwork, LIFConstants]:
    """Return a network of LIF neurons, its integers, and the neurons' constants."""
    made = calibrate(
        replicate(net, copies) if copies > 1 else net,
        fit,
        constants=QUIET,
        config=CalibrateConfig(spread=condition.spread),
        seed=seed,
    )
    lif = made.networks[-1]
    shown = with_silence(refine(fit, lif.dt).inputs)
    return lif, prepare(lif, shown, seed=seed).fixed, made.constants


def _stages(
    lif: LIFNetwork,
    fixed: FixedPointNetwork,
    neuron: LIFConstants,
    test: Trials,
    reference: RateRun,
    copies: int,
    seed: int,
) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield the figures of the LIF network and of the chip."""
    inputs, every = refine(test, lif.dt).inputs, round(test.dt / lif.dt)
    first = simulate_lif(lif, inputs, seed=seed + 1, record=("i",), every=every)
    sent = messages(fixed, inputs)
    second = compiled.run(fixed, sent, seed=seed + 2, record=("u",))
    assert first.i is not None and second.u is not None
    in_volts = second.u[every - 1 :: every] / fixed.u_per_volt
    # What i does not bring stands in v_leak; spread drives are 0 over a unit's copies.
    constant = lif.v_leak - neuron.v_leak
    for name, net, spikes, current in (
        ("lif", lif, first.spikes, first.i.astype(np.float64)),
        ("chip", fixed, second.spikes, in_volts),
    ):
        x = ((current + constant) / neuron.unit).reshape(*current.shape[:2], -1, copies)
        outputs = network_outputs(net, spikes)[every - 1 :: every]
        errors = _errors(x.mean(axis=3), outputs, reference)
        yield name, errors | _correlations(spikes, copies)


def _errors(x: np.ndarray, outputs: np.ndarray, reference: RateRun) -> dict[str, float]:
    """Return how far states and outputs are from the reference, in units of its SD."""
    assert reference.x is not None
    pairs = {
        "state_error": (x, reference.x),
        "output_error": (outputs, reference.outputs),
    }
    return {
        name: float(np.sqrt(np.mean((ours - theirs) ** 2)) / theirs.std())
        for name, (ours, theirs) in pairs.items()
    }


def _correlations(spikes: Spikes, copies: int) -> dict[str, float | None]:
    """Return mean correlations of spike counts, between copies and between units."""
    raster, width = unpack(spikes.bits, spikes.n), round(BIN / spikes.dt)
    bins = len(raster) // width
    counts = raster[: bins * width].reshape(bins, width, *raster.shape[1:]).sum(axis=1)
    counts = counts - counts.mean(axis=0)
    flat = counts.reshape(-1, spikes.n)
    covariance = flat.T @ flat
    power = np.diagonal(covariance)
    fires = power > 0
    correlation = covariance / np.sqrt(
        np.where(np.outer(fires, fires), np.outer(power, power), np.inf)
    )
    unit = np.arange(spikes.n) // copies
    usable = np.outer(fires, fires) & ~np.eye(spikes.n, dtype=bool)
    same = unit[:, None] == unit
    return {
        name: float(correlation[where].mean()) if where.any() else None
        for name, where in (
            ("same_unit_correlation", usable & same),
            ("other_correlation", usable & ~same),
        )
    }


def copies_page(figures: Mapping[str, Any]) -> PageSection:
    """Return the page."""
    rows, trials = figures["figures"]["rows"], figures["figures"]["trials"]
    networks = dict.fromkeys(row["network"] for row in rows)
    return PageSection(
        "Copies of a unit: figures",
        [
            made_by(
                figures["provenance"],
                "benchmarks.equal_tau.copies",
                "copies.json",
                options=f" --copies {' '.join(map(str, figures['figures']['copies']))}",
            ),
            f"Calibrated on {trials['fit']} trials, measured on {trials['test']} "
            "others. Errors of x, the mean over a unit's copies, and of the outputs "
            "are against the rate network without noise, in units of their SD: with "
            "noise they have a floor, that of the rate network itself. Correlations "
            "are of spike counts in 5 ms within a trial.",
            *(
                _network(name, [row for row in rows if row["network"] == name])
                for name in networks
            ),
        ],
    )


def _network(name: str, rows: Sequence[Mapping[str, Any]]) -> PageSection:
    """Return the table of one network."""
    head = ["kept apart by", "copies", "stage", "x off by", "outputs off by"]
    cells = [
        [
            *(row["condition"], str(row["copies"]), row["stage"]),
            *(number(row[key], ".3f") for key in ("state_error", "output_error")),
            *(
                number(row.get(key), ".3f")
                for key in ("same_unit_correlation", "other_correlation")
            ),
        ]
        for row in rows
    ]
    head += ["correlation of copies", "of units"]
    return PageSection(name, [MarkdownTable(head, cells)])


if __name__ == "__main__":
    main()
