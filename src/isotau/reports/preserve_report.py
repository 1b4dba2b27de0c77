"""What `isotau preserve` leaves: numbers, tables, pictures, and one page to read.

The page is HTML that needs no other file and runs no script.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from isotau.convert.ground import files
from isotau.jobs.origin import versions
from isotau.jobs.quiet import STAGES
from isotau.jobs.timescales.measure_recorded import file_stem, quartiles
from isotau.jobs.timescales.preserve import (
    METHODS,
    NetworkTimescales,
    PreservationStudy,
    StageComparison,
    curves_of,
    of_stages,
    pairs_of,
)
from isotau.reports import state_report
from isotau.reports.preserve_page import page
from isotau.reports.state_report import FEW
from isotau.sim.plot import plot_agreement, plot_preservation, plot_states
from isotau.sim.plot.draw import picture
from isotau.sim.preservation import lines, summary, write_json
from isotau.sim.preservation.files import plain
from isotau.sim.states import StateComparison
from isotau.sim.timescales.records import record

PICTURES = {
    "forest": ("Ratio of τ ({method}) of each network and of all; shaded: margin", 2.2),
    "scatter": ("Each neuron's τ ({method}) at both stages; shaded: margin", 4.4),
    "bland_altman": ("Log ratio against τ; the floor is a stage and its repeat", 3.8),
    "attrition": ("Neurons that keep, lose and gain a timescale, and repeats", 3.4),
    "curves": ("Mean autocorrelations, without any fit", 3.8),
    "distributions": ("Distribution of τ ({method})", 3.8),
    "quantiles": ("Quantiles of the two distributions of τ", 4.4),
    "rate": ("Does the ratio depend on a neuron's rate?", 3.8),
    "tau_syn": ("Does it depend on a neuron's synaptic time constant?", 3.8),
}
"""Caption of each picture, and its height in inches."""
ID = 16
"""Letters of the id of a report."""
COLUMNS = 6
"""Of the table that a terminal has room for."""


def write(study: PreservationStudy, out: Path) -> Path:
    """Write everything into a folder; return the path of the page.

    preservation.html and preservation.json; neurons.csv with every neuron's time
    constants; states/ with pictures of the states of a few networks; timescales/ with
    what each estimator said of each run; and for each comparison a folder such as
    rate-lif/ with pictures and the comparison in full, one JSON file for each
    estimator.
    """
    # Every run of every estimator: a comparison can be done again without the networks.
    for network in study.networks:
        for stage, measured in network.stages.items():
            for method, runs in measured.timescales.items():
                for run, end in zip(runs, ("", ".again"), strict=True):
                    stem = f"{file_stem(network.name)}.{stage}.{method}{end}"
                    record.write_csv(run, out / "timescales" / f"{stem}.csv")
    files.write_text(out / "neurons.csv", neurons_csv(study.networks))
    pictures = []
    for comparison in study.comparisons:
        folder = out / f"{comparison.a}-{comparison.b}"
        for method, preservation in comparison.by_method.items():
            write_json(preservation, folder / f"{method}.json")
        pictures.append(draw(study.networks, comparison, folder))
    # Of many networks the numbers tell more than as many pictures.
    states = {
        net.name: draw_states(net.states, out / "states" / f"{file_stem(net.name)}.png")
        for net in study.networks[:FEW]
        if net.states
    }
    # The page is made from the numbers as they are written, so that the two agree.
    report = numbers(study)
    text = json.dumps(report, indent=1, allow_nan=False)
    files.write_text(out / "preservation.json", text + "\n")
    html = page(report, pictures, list(map(_details, study.comparisons)), states)
    return files.write_text(out / "preservation.html", html)


def numbers(study: PreservationStudy) -> dict[str, Any]:
    """Return the numbers of a study, ready for JSON; None where there is none.

    Shift, scatter and loss are value, lower and upper end; shift is a log ratio.
    """
    config = study.config
    found = {
        "task": config.run.task,
        # As `measure_networks` gives them.
        "seeds": {n.name: config.run.seed + k for k, n in enumerate(study.networks)},
        "comparisons": [
            {
                "a": comparison.a,
                "b": comparison.b,
                "verdict": comparison.conclusion.verdict.value,
                "reason": comparison.conclusion.reason,
                "verdicts": plain(comparison.conclusion.verdicts),
                "primary": comparison.conclusion.primary,
                "by_method": {
                    method: summary(preservation)
                    for method, preservation in comparison.by_method.items()
                },
                "curves": plain(comparison.curves),
            }
            for comparison in study.comparisons
        ],
        "states": {net.name: state_report.numbers(net) for net in study.networks},
        "networks": [
            _network(network) | dict(origin)
            for network, origin in zip(study.networks, study.inputs, strict=True)
        ],
        "settings": plain(config),
        "versions": versions(),
    }
    return {"id": _id_of(found)} | found


def _id_of(found: Mapping[str, Any]) -> str:
    """Return the id of numbers: the same for the same ones, however long they took."""
    timeless = {
        name: [{k: v for k, v in each.items() if k != "wall_s"} for each in compared]
        for name, compared in found["states"].items()
    }
    text = json.dumps({**found, "states": timeless}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:ID]


def neurons_csv(networks: Sequence[NetworkTimescales]) -> str:
    """Return a row for each neuron: nominal, effective and measured time constants."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    # In the order of the chain, whichever stages a network has.
    runs = [(stage, method) for stage in STAGES for method in METHODS]
    writer.writerow(
        ["network", "neuron", "excitatory", "tau_syn_s", "tau_syn_effective_s"]
        + [f"tau_{stage}_{method}_s" for stage, method in runs]
        + [f"tau_{stage}_state_s" for stage in STAGES]
    )
    for net in networks:
        # repr gives the shortest text that reads back as the same number.
        columns = [net.tau_syn, net.tau_syn_effective]
        columns += [net.stages[stage].timescales[m][0].tau for stage, m in runs]
        columns += [_state_tau(net, stage) for stage in STAGES]
        for k, row in enumerate(np.stack(columns, axis=1).tolist()):
            writer.writerow([net.name, k, int(net.excitatory[k]), *map(repr, row)])
    return text.getvalue()


def _state_tau(net: NetworkTimescales, stage: str) -> np.ndarray:
    """Return τ of the state of every neuron's unit; NaN where it was not looked at."""
    for compared in net.states:
        for name, measured in (
            (compared.a, compared.pair.a),
            (compared.b, compared.pair.b),
        ):
            if name == stage:
                # Copies of a unit stand side by side.
                return np.repeat(measured.tau, net.tau_syn.size // measured.tau.size)
    return np.full(net.tau_syn.size, np.nan)


def draw(
    networks: Sequence[NetworkTimescales], comparison: StageComparison, folder: Path
) -> dict[str, bytes]:
    """Draw a comparison's pictures into a folder; return them by their captions."""
    method = comparison.conclusion.primary
    names, preservation = (comparison.a, comparison.b), comparison.by_method[method]
    measured = of_stages(networks, *names)
    pairs, curves = pairs_of(measured, method), curves_of(measured)
    # One width for all: networks of a study have trials of one length.
    width = networks[0].stages[comparison.a].curve_bin
    margin = preservation.config.shift_margin
    onto: dict[str, Callable[..., Any]] = {
        "forest": partial(plot_preservation.forest, preservation=preservation),
        "scatter": partial(plot_agreement.tau_scatter, pairs=pairs, margin=margin),
        "bland_altman": partial(plot_agreement.bland_altman, pairs=pairs),
        "attrition": partial(
            plot_preservation.attrition_bars, preservation=preservation
        ),
        "curves": partial(
            plot_preservation.mean_curves, curves=curves, bin_width=width
        ),
        "distributions": partial(plot_agreement.tau_distributions, pairs=pairs),
        "quantiles": partial(plot_agreement.tau_quantiles, pairs=pairs, margin=margin),
        "rate": partial(plot_agreement.ratio_against, pairs=pairs, by="rate"),
        "tau_syn": partial(plot_agreement.ratio_against, pairs=pairs, by="tau_syn"),
    }
    pictures = {}
    for name, (caption, height) in PICTURES.items():
        # A line for each network; beyond 40 the picture would not fit a page.
        if name == "forest":  # a line for each network, and no page of them
            height += 0.2 * min(len(networks), 40)
        path = folder / f"{name}.png"
        with picture(path, size=(4.8, height)) as grid:
            onto[name](grid[0, 0], names=names)
        pictures[caption.format(method=method)] = path.read_bytes()
    return pictures


def draw_states(comparisons: Sequence[StateComparison], path: Path) -> bytes:
    """Draw a network's states, stage by stage; return the picture as it was written."""
    # The third comparison says what the first two do: there is room for no more.
    shown = [each for each in comparisons[:2] if each.pair.both.any()]
    columns = len(shown) + 1
    with picture(path, 1, columns, size=(4.4 * columns, 4.2)) as grid:
        for axes, each in zip(grid[0], shown, strict=False):
            plot_states.tau_of_units(axes, each)
        plot_states.autocorrelations(grid[0, -1], comparisons)
    return path.read_bytes()


def _details(comparison: StageComparison) -> str:
    """Return all numbers of a comparison as text."""
    methods = comparison.by_method.values()
    text = [line for preservation in methods for line in lines(preservation)]
    curves = comparison.curves
    return "\n".join([*text, f"curves: {curves.verdict.value}", f"  {curves.reason}"])


def _network(network: NetworkTimescales) -> dict[str, Any]:
    """Return the numbers of one network; times are quartiles over neurons."""
    return {
        "name": network.name,
        "n_neurons": int(network.tau_syn.size),
        "n_excitatory": int(network.excitatory.sum()),
        "accuracy": plain(network.accuracy),
        "tau_syn_s": quartiles(network.tau_syn),
        "tau_syn_effective_s": quartiles(network.tau_syn_effective),
        "timescales": {
            stage: {
                method: record.summary(runs[0])
                | {"tau_quartiles_s": quartiles(runs[0].tau)}
                | {"n_timescales_again": record.summary(runs[1])["n_timescales"]}
                for method, runs in measured.timescales.items()
            }
            for stage, measured in network.stages.items()
        },
    }


def table(report: Mapping[str, Any]) -> Table:
    """Return a row for each comparison of each network's states."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # The words stand above the table, and the name of one network is known.
    named = len(report["states"]) > 1
    if named:
        shown.add_column("network", overflow="fold", min_width=6)
    for heading in state_report.HEADINGS[1:COLUMNS]:
        text = heading.replace(" ", "\n", 1)
        # "not identifiable" can break between its words, and nowhere else.
        verdict = heading == "verdict"
        shown.add_column(text, no_wrap=not verdict, min_width=12 if verdict else None)
    for row in state_report.rows(report["states"]):
        if any(row[3:COLUMNS]):
            # Intervals on a line of their own: there is no room for wider rows.
            cells = (cell.replace(" (", "\n(") for cell in row[1:COLUMNS])
            shown.add_row(*([row[0]] if named else []), *cells)
    return shown
